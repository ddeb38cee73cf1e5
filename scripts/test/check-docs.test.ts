/** Tests that the check of doc comments fails when one is missing, with small trees on disk. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { checkDocs } from '../check-docs.js';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Returns the messages of the check for one package, `p`, with these files. */
function check(files: Record<string, string>): string[] {
  const repository = mkdtempSync(join(tmpdir(), 'qcow2-docs-'));
  folders.push(repository);
  for (const [path, text] of Object.entries(files)) {
    const file = join(repository, 'p/src', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return checkDocs([{ folder: 'p', sources: ['src'], entries: ['src/index.ts'] }], repository);
}

const index = "/** Owns nothing. */\nexport * from './a.js';\n";

test('a documented package has no findings, also through every kind of re-export', () => {
  const problems = check({
    'index.ts': "/** Owns nothing. */\nexport * from './a.js';\nexport { B as C, type D } from './deep/b.js';\n",
    'a.ts':
      '/** Owns a. */\nimport "./deep/b.js";\n' +
      '/** A. */\nexport const a: number = 1;\n/** F. */\nexport function f(): void {}\n',
    'deep/b.ts':
      '/** Owns b. */\n/** B. */\nclass B {}\n/** D. */\ninterface D { plain: string }\nexport { B, type D };\n',
  });
  expect(problems).toEqual([]);
});

test.each([
  ['a constant', 'export const a: number = 1;', 'a'],
  ['a function', 'export function a(): void {}', 'a'],
  ['a class', 'export class A {}', 'A'],
  ['an interface', 'export interface A {}', 'A'],
  ['a type', 'export type A = string;', 'A'],
  ['one whose comment is not a doc comment', '/* A. */\nexport type A = string;', 'A'],
  ['one whose comment belongs to something else', '/** B. */\ntype B = string;\nexport type A = B;', 'A'],
  ['one that is exported by name', 'type A = string;\nexport type { A };', 'A'],
])('%s without a doc comment', (_name, text, name) => {
  expect(check({ 'index.ts': index, 'a.ts': `/** Owns a. */\nimport './b.js';\n${text}\n` })).toEqual([
    `src/a.ts: ${name} has no doc comment`,
  ]);
});

test('public methods need one, unless they implement a documented method', () => {
  const problems = check({
    'index.ts': "/** Owns nothing. */\nexport type { Disk } from './disk.js';\nexport { Image } from './image.js';\n",
    'disk.ts':
      '/** Owns Disk. */\n/** D. */\nexport interface Disk {\n  /** R. */\n  read(): void;\n  write(): void;\n}\n',
    'image.ts': `/** Owns Image. */
/** I. */
export class Image implements Disk {
  constructor() {}
  read(): void {}
  write(): void {}
  static open(): void {}
  get size(): number { return 0; }
  /** C. */
  close(): void {}
  private hidden(): void {}
  #hidden(): void {}
}
`,
  });
  expect(problems).toEqual([
    'src/disk.ts: Disk.write has no doc comment',
    'src/image.ts: Image.write has no doc comment',
    'src/image.ts: Image.open has no doc comment',
    'src/image.ts: Image.size has no doc comment',
  ]);
});

test('a module without an opening doc comment', () => {
  const problems = check({
    'index.ts': '/// <reference lib="es2023" />\n/** Owns nothing. */\nexport * from \'./a.js\';\n',
    'a.ts': '// Owns a.\n/* really */\n/** A. */\nexport const a: number = 1;\n',
  });
  expect(problems).toEqual(['p/src/a.ts: does not open with a doc comment that says what it does']);
});

test('a package without exports, since then nothing was checked', () => {
  expect(check({ 'index.ts': '/** Owns nothing. */\n' })).toEqual(['no exports found']);
});
