/** Makes an application outside the workspace that has the packages as a person would get them: from their tarballs. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pnpm } from '../../scripts/pnpm.js';
import { root, runTool } from '../../scripts/run.js';
import { writeWorkerScript } from '../../scripts/worker-script.js';

/** The packages, by the folder that each is packed from. */
const PACKAGES = { qcow2: 'packages/core', 'qcow2-opfs': 'packages/opfs' };

/** Builds and packs both packages and installs them in a new folder, whose path is the answer. */
export async function makeFreshApp(): Promise<string> {
  await runTool('tsc', ['-b', 'packages/core/node', 'packages/opfs']);
  await writeWorkerScript();
  const app = realpathSync(mkdtempSync(join(tmpdir(), 'qcow2-packed-')));
  cpSync(fileURLToPath(new URL('./app', import.meta.url)), app, { recursive: true });
  const dependencies: Record<string, string> = {};
  for (const [name, folder] of Object.entries(PACKAGES)) dependencies[name] = `file:${await pack(app, name, folder)}`;
  writeFileSync(join(app, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }, null, 2));
  // Not published yet: what qcow2-opfs asks of qcow2 by version is the tarball, too.
  writeFileSync(join(app, 'pnpm-workspace.yaml'), `overrides:\n  qcow2: ${dependencies.qcow2}\n`);
  await pnpm(['install', '--prefer-offline', '--no-frozen-lockfile'], { cwd: app });
  return app;
}

async function pack(app: string, name: string, folder: string): Promise<string> {
  const target = join(app, 'tarballs', name);
  mkdirSync(target, { recursive: true });
  await pnpm(['pack', '--reporter=silent', '--pack-destination', target], { cwd: join(root, folder) });
  const [tarball] = readdirSync(target);
  if (!tarball) throw new Error(`${name} was not packed`);
  return join(target, tarball);
}
