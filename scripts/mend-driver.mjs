// Mends postgres.js 3.4.9 where it is installed.
// 1. A statement given to a connection that has just closed (such as the rollback of a transaction that the closing cut
//    short) is written to no socket: the process dies of it, or that place of the pool never works again
//    (porsager/postgres issues 1066, 1154, 1208). Mended, it is refused with CONNECTION_CLOSED like the others.
//    The same where it has just failed, and is closed a moment later: such a statement was left for the next
//    connection, which waited for its answer for ever.
// 2. A new connection asks for the types of arrays first. When it is lost meanwhile, nobody takes that rejection, and
//    the process dies of it (279, 1192, 1205). Mended, the statement that it was opened for fails, and that connection
//    goes.
// 3. The error with which a server takes its leave is told again to the first statement of the next connection (1223).
// 4. Where connections are taken and closed at once, as a proxy does whose server is away, a statement waits for ever
//    while its connection is made anew without a pause. Mended, it is refused with CONNECTION_CLOSED, where the URL
//    names one host.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const mendings = [
  [
    `  function execute(q) {
    if (terminated)`,
    `  function execute(q) {
    if (socket === null)
      return queryError(q, Errors.connection('CONNECTION_CLOSED', options)), true

    if (terminated)`,
  ],
  [
    `  function nextWrite(fn) {
    const x`,
    `  function nextWrite(fn) {
    if (socket === null)
      return chunk = nextWriteTimer = null, false

    const x`,
  ],
  [
    `    clearImmediate(nextWriteTimer)
    if (socket) {`,
    `    clearImmediate(nextWriteTimer)
    chunk = nextWriteTimer = null
    if (socket) {`,
  ],
  [
    `    if (connection.queue === queues.connecting && options.host[retries + 1])
`,
    `    if (initial && connection.queue === queues.connecting && options.host[retries + 1])
`,
  ],
  [
    `        return fetchArrayTypes()
`,
    `        return fetchArrayTypes().catch(() => socket && socket.destroy())
`,
  ],
  [
    `    if (initial)
      return reconnect()

    !hadError && (query || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))
`,
    `    if (options.host.length === 1 || !initial)
      (query || initial || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))
    query = results = errorResponse = null
    result = new Result()
    rows = 0
    if (initial)
      return reconnect()

`,
  ],
  [
    `    clearImmediate(nextWriteTimer)
    socket.removeListener`,
    `    clearImmediate(nextWriteTimer)
    chunk = nextWriteTimer = null
    socket.removeListener`,
  ],
];

const mendedVersion = '3.4.9';

// npm runs this after each install (`postinstall`).
const driver = join(dirname(fileURLToPath(import.meta.url)), '..', 'node_modules', 'postgres');
const { version } = JSON.parse(readFileSync(join(driver, 'package.json'), 'utf8'));
if (version !== mendedVersion) {
  throw new Error(
    `scripts/mend-driver.mjs is for postgres ${mendedVersion}, installed is ${version}: ` +
      'look whether the fault is still there (db/lost-connection.test.ts), then change or delete it.',
  );
}
for (const file of ['src/connection.js', 'cjs/src/connection.js']) {
  const path = join(driver, file);
  const source = readFileSync(path, 'utf8');
  const mended = mendings.reduce((text, [from, to]) => {
    if (text.includes(to)) return text;
    if (!text.includes(from)) throw new Error(`${path} is not the file that scripts/mend-driver.mjs knows`);
    return text.replace(from, () => to);
  }, source);
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, mended);
  renameSync(temporary, path);
}
