/** With which bundler each entry of qcow2-opfs works. Tests try every cell, and its README shows it as a table. */
import type { Entry } from './bundlers.js';

/** Whether an entry works as it is in a development server, null where there is none, and in a build. */
export interface Works {
  readonly serve: boolean | null;
  readonly build: boolean;
}

const EVERYWHERE: Works = { serve: true, build: true };
const NOWHERE: Works = { serve: false, build: false };

/** By the bundler's name. */
export const MATRIX: Readonly<Record<string, Readonly<Record<Entry, Works>>>> = {
  'Vite 8': { modular: EVERYWHERE, inline: EVERYWHERE },
  'Vite 7': { modular: NOWHERE, inline: EVERYWHERE },
  'Vite 6': { modular: NOWHERE, inline: EVERYWHERE },
  'Vite 5': { modular: NOWHERE, inline: EVERYWHERE },
  'webpack 5': { modular: EVERYWHERE, inline: EVERYWHERE },
  'esbuild 0.28': { modular: NOWHERE, inline: EVERYWHERE },
  'Rollup 4': { modular: { serve: null, build: false }, inline: { serve: null, build: true } },
};

/** The table of that README. */
export function matrixTable(): string {
  const rows = Object.entries(MATRIX).map(
    ([name, { modular, inline }]) => `| ${name} | ${say(modular)} | ${say(inline)} |`,
  );
  return ['| | `qcow2-opfs` | `qcow2-opfs/inline` |', '|---|---|---|', ...rows].join('\n');
}

function say({ serve, build }: Works): string {
  if (serve === null || serve === build) return build ? 'yes' : 'no';
  return build ? 'in the build alone' : 'in development alone';
}
