/** What a new handler takes along of the SDK, so that its folder needs nothing from where it was made. */
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CommandError, exitCodes } from '../exit-codes.ts';
import type { Language } from './scaffold.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** Puts it into the folder. The name of its file there; empty when there is none. */
export async function placeSdk(kind: Language['sdk'], folder: string): Promise<string> {
  switch (kind) {
    case 'package':
      return placePackage(folder);
    case 'pythonModule': {
      const from = join(root, 'handler/python/pop_handler');
      cpSync(from, join(folder, 'pop_handler'), {
        recursive: true,
        filter: (path) => basename(path) !== '__pycache__',
      });
      return '';
    }
    case 'none':
      return '';
  }
}

/** It lies packed in what was built; in a clone it is packed now. */
async function placePackage(folder: string): Promise<string> {
  const packed = join(root, 'sdk');
  if (!existsSync(packed)) await packHere(folder);
  const from = existsSync(packed) ? packed : folder;
  const name = readdirSync(from).find((file) => file.endsWith('.tgz'));
  if (name === undefined) throw new Error(`There is no package of the SDK in ${from}.`);
  if (from !== folder) copyFileSync(join(from, name), join(folder, name));
  return name;
}

async function packHere(folder: string): Promise<void> {
  const npm = process.env.npm_execpath;
  const words = ['pack', join(root, 'handler'), '--pack-destination', folder, '--loglevel=error'];
  const [program, args] = npm === undefined ? ['npm', words] : [process.execPath, [npm, ...words]];
  // What npm sets for a script of the clone is not meant for the SDK's.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle)/.test(name)),
  );
  await run(program, args, { cwd: root, env }).catch((cause: Error) => {
    throw new CommandError(exitCodes.failed, `The SDK could not be packed: ${cause.message}`, { cause });
  });
}
