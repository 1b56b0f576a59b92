// Mends postgres.js 3.4.9 where it is installed. A statement given to a connection that has just closed (such as the rollback of a
// transaction that the closing cut short) is written to no socket: the process dies of it, or that place of the pool never works again
// (porsager/postgres issues 1066, 1154, 1208). Mended, such a statement is refused with CONNECTION_CLOSED like the others.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

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
    `    clearImmediate(nextWriteTimer)
    socket.removeListener`,
    `    clearImmediate(nextWriteTimer)
    chunk = nextWriteTimer = null
    socket.removeListener`,
  ],
];

/** Changes the installed files; nothing when that was done, or when another version is installed. Returns whether it changed any. */
export function mendDriver(root) {
  let changed = false;
  for (const file of ['src/connection.js', 'cjs/src/connection.js']) {
    const path = join(root, 'node_modules', 'postgres', file);
    if (!existsSync(path)) continue;
    const source = readFileSync(path, 'utf8');
    const mended = mendings.reduce((text, [from, to]) => (text.includes(to) ? text : text.replace(from, to)), source);
    if (mended === source) continue;
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, mended);
    renameSync(temporary, path);
    changed = true;
  }
  return changed;
}
