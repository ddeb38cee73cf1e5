/**
 * Bundles the worker of qcow2-opfs into one script, and generates the module of `qcow2-opfs/inline` that contains it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { build } from 'vite';
import { root } from './run.js';

/** Folder of the compiled worker. */
const DIST = `${root}packages/opfs/dist/`;

/**
 * Bundles a worker with all its imports into one classic script.
 *
 * @param {string} entry
 * @param {import('vite').UserConfig['resolve']} [resolve]
 * @returns {Promise<{ text: string, modules: readonly string[] }>} `modules`: the files that it is made of
 */
export async function bundleWorker(entry, resolve = {}) {
  const built = await build({
    configFile: false,
    logLevel: 'warn',
    resolve,
    build: {
      write: false,
      target: 'es2022', // as the packages are compiled
      lib: { entry, formats: ['iife'], name: 'qcow2OpfsWorker' },
      rolldownOptions: { output: { strict: true } },
    },
  });
  const [chunk, ...more] = Array.isArray(built) ? built.flatMap(({ output }) => output) : [];
  if (chunk?.type !== 'chunk' || more.length > 0) throw new Error(`${entry} did not become one file.`);
  // The bundler's virtual modules are not files.
  return { text: chunk.code, modules: chunk.moduleIds.filter((id) => !id.startsWith('\0')) };
}

/**
 * Returns the module that exports that text.
 *
 * @param {string} text
 */
export function workerScriptModule(text) {
  // A name for stack traces, which would otherwise show the blob: URL.
  return `export const workerScript = ${JSON.stringify(`${text}//# sourceURL=qcow2-opfs-worker.js\n`)};\n`;
}

/** Writes that module into the compiled package, with the licenses of the bundled code beside it. */
export async function writeWorkerScript() {
  const { text, modules } = await bundleWorker(`${DIST}worker.js`);
  writeFileSync(`${DIST}worker-script.js`, workerScriptModule(text));
  writeFileSync(`${DIST}worker-script.licenses.txt`, licensesOf(modules));
}

/** @param {readonly string[]} modules */
function licensesOf(modules) {
  const folders = modules.flatMap((path) => /^.*\/node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
  return [...new Set(folders)]
    .map((folder) => {
      const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
      return `${name} ${version}\n\n${readFileSync(`${folder}/LICENSE`, 'utf8')}`;
    })
    .join('\n\n');
}
