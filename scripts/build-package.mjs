// Builds what `npm pack` puts into the package (`prepack`): JavaScript and types in dist/, with everything that a clone
// makes at run time made already, and the manifest that users get in the place of the clone's. `postpack` puts that
// back (restore-manifest.mjs).
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keptManifest, restoreManifest } from './restore-manifest.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
/** Of what users run; a clone is set up by Node 20. */
const engines = { node: '>=22.19' };

restoreManifest();
rmSync(dist, { recursive: true, force: true });
run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.build.json']);
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
writeJson('dist/package.json', { name: manifest.name, version: manifest.version, type: 'module', private: true });
copyWhatIsRead();
bundleWorkflows();
packSdk();
writeManifest();

/** Files that programs read beside themselves. Registries name their handlers as they are built. */
function copyWhatIsRead() {
  cpSync(join(root, 'db/migrations'), join(dist, 'db/migrations'), { recursive: true });
  for (const name of ['programs.mjs', 'fetch-program.mjs'])
    cpSync(join(root, 'machine', name), join(dist, 'machine', name));
  const python = 'handler/python/pop_handler';
  cpSync(join(root, python), join(dist, python), { recursive: true, filter: (path) => !path.includes('__pycache__') });
  for (const folder of readdirSync(join(root, 'examples'), { withFileTypes: true })) {
    if (!folder.isDirectory() || !existsSync(join(dist, 'examples', folder.name))) continue;
    for (const name of readdirSync(join(root, 'examples', folder.name))) {
      const from = join(root, 'examples', folder.name, name);
      const to = join(dist, 'examples', folder.name, name);
      if (name === 'registry.json') writeFileSync(to, readFileSync(from, 'utf8').replaceAll('.ts"', '.js"'));
      else if (/\.(sh|py|json)$/.test(name)) cpSync(from, to);
    }
  }
}

/** By the sources of this clone and the SDK that the package depends on. */
function bundleWorkflows() {
  const code = `import { workflowBundle } from './workers/workflow-bundle.ts'; console.log(await workflowBundle());`;
  const path = run(process.execPath, ['--input-type=module', '-e', code]).trim().split('\n').at(-1);
  cpSync(path, join(dist, 'workflow-bundle.js'));
}

/** The SDK as a package of its own, for the handlers that \`pop handler new\` makes. */
function packSdk() {
  const folder = join(dist, 'sdk');
  mkdirSync(folder);
  npm(['pack', join(root, 'handler'), '--pack-destination', folder, '--loglevel=error']);
}

/** Without what only a clone needs. The mended driver goes along, so there is nothing to do after an install. */
function writeManifest() {
  const { name, version, description, license, type, dependencies } = manifest;
  mkdirSync(dirname(keptManifest), { recursive: true });
  cpSync(join(root, 'package.json'), keptManifest);
  writeJson('package.json', {
    ...{ name, version, description, license, type, engines },
    bin: { pop: 'dist/cli/pop.js' },
    files: ['dist', 'CHANGELOG.md'],
    dependencies,
    // The driver as it was mended, and what imports it from where it lies itself.
    bundleDependencies: ['postgres', 'drizzle-orm'],
  });
}

function writeJson(path, value) {
  writeFileSync(join(root, path), `${JSON.stringify(value, null, 2)}\n`);
}

function npm(args) {
  const program = process.env.npm_execpath;
  return program ? run(process.execPath, [program, ...args]) : run('npm', args);
}

/** What it printed. Its complaints go to ours. */
function run(command, args) {
  // What npm sets for this script is not meant for one of another package.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(config|package|lifecycle)/.test(name)),
  );
  const { status, error, stdout } = spawnSync(command, args, {
    cwd: root,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status === 0) return stdout;
  throw new Error(`${[command, ...args].join(' ')} failed: ${error?.message ?? `exit code ${status}\n${stdout}`}`);
}
