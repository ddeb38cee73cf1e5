/** Owns the building of an engine with one fault in it: its sources as they are, but for a snippet or two. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'vite';
import type { Engine } from './workloads.js';

/** A fault: what is replaced in a file of `packages/core/src`. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Snippets, each of which must stand in the file exactly once, and what stands there instead. */
  readonly edits: readonly (readonly [find: string, replace: string])[];
}

const sources = fileURLToPath(new URL('../../src/', import.meta.url));

/** The engine with that fault. What it was built into is gone again when this returns. */
export async function mutantEngine(mutant: Mutant): Promise<Engine> {
  const file = join(sources, mutant.file);
  let met = false;
  const plugin: Plugin = {
    name: 'mutant',
    enforce: 'pre',
    transform(code, id) {
      if (id !== file) return null;
      met = true;
      return mutant.edits.reduce((text, [find, replace]) => {
        const parts = text.split(find);
        if (parts.length !== 2) throw new Error(`"${find}" stands ${parts.length - 1} times in ${mutant.file}.`);
        return parts.join(replace);
      }, code);
    },
  };
  const folder = mkdtempSync(join(tmpdir(), 'qcow2-mutant-'));
  try {
    const code = await bundle(plugin);
    if (!met) throw new Error(`${mutant.file} is no part of the engine.`);
    const bundled = join(folder, 'engine.mjs');
    writeFileSync(bundled, code);
    const { Qcow2Image } = await import(/* @vite-ignore */ pathToFileURL(bundled).href);
    return Qcow2Image;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The whole engine as one module. */
async function bundle(plugin: Plugin): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: 'silent',
    plugins: [plugin],
    build: {
      write: false,
      minify: false,
      target: 'es2022',
      lib: { entry: join(sources, 'index.ts'), formats: ['es'] },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  });
  const [{ output: chunks }] = output as unknown as [{ output: readonly { code: string }[] }];
  if (chunks.length !== 1) throw new Error(`The engine was built into ${chunks.length} chunks.`);
  return chunks[0]!.code;
}
