import { readFile } from 'node:fs/promises';
import { fail, runHandler } from '../../handler/index.ts';

await runHandler(async ({ payload, report, log }) => {
  const { files } = payload as { files: string[] };
  let words = 0;
  for (const [index, file] of files.entries()) {
    report({ message: `Reading ${file}`, percentComplete: (100 * index) / files.length });
    const text = await readFile(file, 'utf8').catch((cause: unknown) =>
      fail(`${file} cannot be read.`, { code: 'noFile', cause }),
    );
    words += text.split(/\s+/).filter((word) => word !== '').length;
    log(`${file}: ${words} words so far`);
  }
  return { words };
});
