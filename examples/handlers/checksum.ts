import { runHandler } from '../../handler/index.ts';

/** Runs a tool beside the handler: a process here, a Pod or container of `image` where the launch says so. */
await runHandler(async ({ payload, report, runExternal }) => {
  const { file } = payload as { file: string };
  let checksum = '';
  await runExternal({
    image: 'alpine:3.22',
    command: ['sha256sum', file],
    resources: { cpu: '100m', memory: '32Mi' },
    onLine: (line) => {
      checksum = line.split(' ')[0] ?? '';
      report({ message: 'Summed up', percentComplete: 90 });
    },
  });
  return { checksum };
});
