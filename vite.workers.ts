/** Each worker of the tests in one file: served module by module, as Vite does, to start one takes a second. */
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'vite';
import { bundleWorker, workerScriptModule } from './scripts/worker-script.js';
import { shared } from './vite.shared.js';

/** How Vite's development server asks for the script of a module worker. */
const WORKER = /^([^?]+)\?worker_file&type=module$/;

/** The module that the build would write, and the worker that it would hold. */
const WORKER_SCRIPT = '\0worker-script';
const WORKER_SOURCE = fileURLToPath(new URL('./packages/opfs/src/worker.ts', import.meta.url));

/** Bundles the script of every worker that is started, when it is asked for first and when it has changed since. */
export function bundledWorkers(): Plugin {
  return {
    name: 'bundled-workers',
    enforce: 'pre',
    async load(id) {
      const entry = WORKER.exec(id)?.[1];
      if (entry === undefined) return null;
      const built = await build({
        configFile: false,
        logLevel: 'warn',
        resolve: shared.resolve ?? {},
        build: {
          write: false,
          minify: false,
          target: 'esnext',
          rolldownOptions: {
            input: entry,
            output: { format: 'es', codeSplitting: false },
            // or what a test puts before a worker's own modules is left out: package.json says it does nothing
            treeshake: false,
          },
        },
      });
      if (!('output' in built)) throw new Error(`${entry} was not bundled at once.`);
      const [chunk] = built.output;
      for (const file of chunk.moduleIds) this.addWatchFile(file);
      return { code: chunk.code, map: { mappings: '' } };
    },
  };
}

/** The text of the package's own worker, which the build writes for `qcow2-opfs/inline`: bundled from the sources. */
export function inlineWorker(): Plugin {
  return {
    name: 'inline-worker',
    enforce: 'pre',
    resolveId: (specifier) => (specifier.endsWith('/worker-script.js') ? WORKER_SCRIPT : null),
    async load(id) {
      if (id !== WORKER_SCRIPT) return null;
      const { text, modules } = await bundleWorker(WORKER_SOURCE, shared.resolve);
      for (const file of modules) this.addWatchFile(file);
      return workerScriptModule(text);
    },
  };
}
