/** A handler in TypeScript, with the SDK as a file of its own: its folder can go anywhere, into an image too. */
import { payloadFile, readmeOf } from './readme.ts';
import type { Language } from './scaffold.ts';

const commands = ['npm install', 'npm test', 'pop handler run handler.ts --payload payload.json'];

const handler = `import { fail, runHandler } from '@pop/handler';

// Counts words. Replace this with your own work: what is returned is the result of the Operation.
await runHandler(async ({ payload, report, log, signal }) => {
  const { text } = (payload ?? {}) as { text?: unknown };
  if (typeof text !== 'string') return fail('The payload needs a text.', { code: 'noText' });
  const words = text.split(/\\s+/).filter((word) => word !== '');
  for (const [index, word] of words.entries()) {
    // Aborted when the handler is asked to end: tidy up and go.
    signal.throwIfAborted();
    report({ message: \`Word \${index + 1}\`, percentComplete: (100 * index) / words.length });
    log(word);
  }
  return { words: words.length };
});
`;

const test = `import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('handler.ts', import.meta.url));

/** Runs the handler as a pool worker does: payload in, exit code and result out. */
function run(payload: unknown) {
  const folder = mkdtempSync(join(tmpdir(), 'handler-'));
  const resultFile = join(folder, 'result.json');
  try {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
      encoding: 'utf8',
      env: {
        ...process.env,
        PAYLOAD: JSON.stringify(payload),
        POP_RESULT_FILE: resultFile,
        POP_PROGRESS_FILE: join(folder, 'progress.json'),
      },
    });
    const result: unknown = existsSync(resultFile) ? JSON.parse(readFileSync(resultFile, 'utf8')) : undefined;
    return { status, result, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('counts the words of a text', () => {
  const { status, result, output } = run({ text: 'one two three' });
  assert.equal(status, 0, output);
  assert.deepEqual(result, { words: 3 });
});

test('fails without a text, and says why', () => {
  const { status, output } = run({});
  assert.equal(status, 1);
  assert.match(output, /needs a text/);
});
`;

const manifest = (name: string, sdk: string): string =>
  `${JSON.stringify(
    {
      name: name.toLowerCase(),
      version: '0.0.0',
      private: true,
      type: 'module',
      engines: { node: '>=22.19' },
      // With the pattern an older Node fails; without, it finds no test and is content.
      scripts: { test: 'node --test "*.test.ts"' },
      dependencies: { '@pop/handler': `file:${sdk}` },
    },
    null,
    2,
  )}\n`;

const dockerfile = (sdk: string): string => `FROM node:24-slim
WORKDIR /handler
COPY package.json ${sdk} ./
RUN npm install --omit=dev --no-audit --no-fund
COPY handler.ts ./
# By number: Kubernetes cannot tell by a name that it is not root. It is \`node\`.
USER 1000
ENTRYPOINT ["node", "/handler/handler.ts"]
`;

/** TypeScript, which Node runs as it is. */
export const typescript: Language = {
  command: ['node', 'handler.ts'],
  sdk: 'package',
  commands,
  files: (name, sdk) => ({
    'handler.ts': handler,
    'handler.test.ts': test,
    'package.json': manifest(name, sdk),
    'payload.json': payloadFile,
    Dockerfile: dockerfile(sdk),
    '.dockerignore': 'node_modules\n',
    '.gitignore': 'node_modules/\n',
    // A Node that is too old is told at once.
    '.npmrc': 'engine-strict=true\n',
    'README.md': readmeOf(name, {
      commands,
      files: [
        '`handler.ts`: the handler; `handler.test.ts`: its test',
        `\`${sdk}\`: the SDK, which package.json names as a file, so that nothing else is needed`,
        '`Dockerfile`: its image',
      ],
    }),
  }),
};
