/** Tests that the check of the dependency rule fails when the rule is broken, with small trees on disk. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { checkPackage, findCycles } from '../check-imports.js';
import { PACKAGE_RULES } from '../import-rules.js';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Returns the messages of the check for a core package with these files, by path and text. */
const checkCore = (files: Record<string, string>): string[] => checkFolder('packages/core', files);

function checkFolder(folder: string, files: Record<string, string>): string[] {
  const repository = mkdtempSync(join(tmpdir(), 'qcow2-imports-'));
  folders.push(repository);
  for (const [path, text] of Object.entries(files)) {
    const file = join(repository, folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const rule = PACKAGE_RULES.find((each) => each.folder === folder);
  return checkPackage(rule!, repository);
}

const layer = { 'src/engine/layer/device.ts': 'export type Done = void;\nexport const calls = 0;\n' };
const errors = { 'src/errors.ts': 'export class Qcow2Error {}\n' };

describe('what is allowed', () => {
  test('downward imports of every form', () => {
    const problems = checkCore({
      ...errors,
      ...layer,
      'src/format/bytes.ts': "import { Qcow2Error } from '../errors.js';\nexport const failed = Qcow2Error;\n",
      'src/engine/read/execute.ts':
        "export { failed } from '../../format/bytes.js';\nexport * from '../layer/device.js';\n",
      'src/image.ts': "import './errors.js';\nexport const late = () => import('./verbs/info.js');\n",
      'src/verbs/info.ts': "export type Done = import('../engine/layer/device.js').Done;\n",
      'src/codecs/deflate.ts': "import { type Done } from '../engine/layer/device.js';\nexport type Read = Done;\n",
      'src/index.ts': "export { late } from './image.js';\n",
      'node/index.ts': "import { readSync } from 'node:fs';\nexport { readSync };\nexport * from '../src/index.js';\n",
    });
    expect(problems).toEqual([]);
  });

  test('files in node_modules and dist, and declaration files, are ignored', () => {
    const offence = "import 'comlink';\n";
    const problems = checkCore({
      ...errors,
      'dist/src/errors.ts': offence,
      'node_modules/x/index.ts': offence,
      'src/web.d.ts': offence,
    });
    expect(problems).toEqual([]);
  });
});

describe('what is refused', () => {
  const cases: [name: string, path: string, text: string, says: string][] = [
    [
      'an upward import',
      'src/format/a.ts',
      "import { calls } from '../engine/layer/device.js';",
      'src/format may import src/errors',
    ],
    [
      'a type alone, into format',
      'src/format/a.ts',
      "import type { Done } from '../engine/layer/device.js';",
      'src/format may',
    ],
    [
      'a value where types alone may pass',
      'src/codecs/a.ts',
      "import { calls } from '../engine/layer/device.js';",
      'types of',
    ],
    [
      'a re-export',
      'src/engine/mapping/a.ts',
      "export { calls } from '../layer/device.js';",
      'src/engine/mapping may import',
    ],
    [
      'a star export',
      'src/engine/mapping/a.ts',
      "export * from '../layer/device.js';",
      'src/engine/mapping may import',
    ],
    [
      'a dynamic import',
      'src/engine/mapping/a.ts',
      "export const a = () => import('../layer/device.js');",
      'src/engine/mapping may import',
    ],
    [
      'an import type',
      'src/engine/mapping/a.ts',
      "export type A = import('../layer/device.js').Done;",
      'src/engine/mapping may import',
    ],
    [
      'an import for its effects',
      'src/engine/mapping/a.ts',
      "import '../layer/device.js';",
      'src/engine/mapping may import',
    ],
    ['Node in the engine', 'src/engine/layer/a.ts', "import { readSync } from 'node:fs';", 'from outside the package'],
    [
      'a package the part may not use',
      'src/engine/layer/a.ts',
      "import { inflateSync } from 'fflate';",
      'from outside',
    ],
    ['comlink', 'src/engine/layer/a.ts', "import * as comlink from 'comlink';", 'from outside'],
    ['a computed import', 'src/engine/layer/a.ts', 'export const a = (b: string) => import(b);', '(computed)'],
    ['a file outside every part', 'src/misc/a.ts', "import '../errors.js';", 'belongs to no part'],
    ['a relative import without .js', 'src/engine/layer/a.ts', "import { calls } from './device';", 'end in .js'],
    [
      'a relative import of nothing',
      'src/engine/layer/a.ts',
      "import { calls } from './gone.js';",
      'no such source file',
    ],
    [
      'another package by its path',
      'src/engine/layer/a.ts',
      "import '../../../../../opfs/src/index.js';",
      'no such source file',
    ],
  ];

  test.each(cases)('%s', (_name, path, text, says) => {
    const problems = checkCore({ ...errors, ...layer, [path]: `// first line\n${text}\n` });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`packages/core/${path}:2: imports `);
    expect(problems[0]).toContain(says);
  });

  test("a component in another feature than its own, but not a feature's state", () => {
    const problems = checkFolder('demo', {
      'src/map/map-card.tsx': 'export const MapCard = 1;\n',
      'src/map/map-load.ts': 'export const load = 1;\n',
      'src/check/check-card.tsx': "import '../map/map-load.js';\nimport '../map/map-card.js';\n",
      'src/app/app.tsx': "import '../map/map-card.js';\n",
    });
    expect(problems).toEqual([
      'demo/src/check/check-card.tsx:2: imports ../map/map-card.js: components of src/map are not used in src/check',
    ]);
  });

  test('a cycle, also of types alone', () => {
    const problems = checkCore({
      'src/engine/layer/a.ts': "export { b } from './b.js';\n",
      'src/engine/layer/b.ts': "import type { c } from './c.js';\nexport const b: typeof c = 1;\n",
      'src/engine/layer/c.ts': "import './a.js';\nexport const c = 1;\n",
    });
    const cycle = ['a.ts', 'b.ts', 'c.ts', 'a.ts'].map((file) => `src/engine/layer/${file}`);
    expect(problems).toEqual([`packages/core: import cycle: ${cycle.join(' -> ')}`]);
  });

  test('a package without sources, since then nothing was checked', () => {
    expect(checkCore({ 'package.json': '{}' })).toEqual(['packages/core: no sources found']);
  });
});

test('two cycles through one file are both found', () => {
  const graph = new Map([
    ['a', ['b', 'c']],
    ['b', ['a']],
    ['c', ['a']],
  ]);
  expect(findCycles(graph)).toEqual([
    ['a', 'b', 'a'],
    ['a', 'c', 'a'],
  ]);
});

describe('the entries of qcow2-opfs', () => {
  const ways = {
    'src/protocol/script-worker.ts': 'export const start = 0;\n',
    'src/page/modular-store.ts': "export { start } from '../protocol/script-worker.js';\n",
    'src/page/inline-store.ts':
      "import { workerScript } from '../worker-script.js';\nexport const start = workerScript;\n",
    'src/worker/service.ts': 'export const serve = 0;\n',
  };

  test('may each start the worker in their own way, one from the text that the build generates', () => {
    const problems = checkFolder('packages/opfs', {
      ...ways,
      'src/index.ts': "export { start } from './page/modular-store.js';\n",
      'src/inline.ts': "export { start } from './page/inline-store.js';\n",
    });
    expect(problems).toEqual([]);
  });

  const offences = [
    ['src/inline.ts', './page/modular-store.js'],
    ['src/inline.ts', './index.js'],
    ['src/index.ts', './page/inline-store.js'],
    ['src/index.ts', './worker-script.js'],
    ['src/protocol/script-worker.ts', '../worker-script.js'],
    ['src/protocol/script-worker.ts', '../page/modular-store.js'],
    ['src/page/connection.ts', '../worker/service.js'],
    ['src/worker/service.ts', '../page/modular-store.js'],
  ] as const;
  test.each(offences)('%s may not import %s', (path, specifier) => {
    const text = `export * from '${specifier}';\n`;
    const index = { 'src/index.ts': '' };
    const problems = checkFolder('packages/opfs', { ...index, ...ways, [path]: text });
    expect(problems).toContainEqual(expect.stringContaining(`packages/opfs/${path}:1: imports ${specifier}: `));
  });
});
