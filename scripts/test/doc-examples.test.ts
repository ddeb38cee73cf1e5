/** Tests that the examples in doc comments are found, and that each compiles against the packages. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type DocExample, readDocExamples } from '../doc-examples.js';
import { root } from '../run.js';

const temporary = mkdtempSync(join(tmpdir(), 'qcow2-examples-'));
afterAll(() => rmSync(temporary, { recursive: true }));

/** Returns the examples of one source. */
function examplesOf(source: string): DocExample[] {
  const folder = mkdtempSync(join(temporary, 'source-'));
  writeFileSync(join(folder, 'a.ts'), source);
  return readDocExamples(folder);
}

describe('reading', () => {
  test('finds every example, with its line and without the asterisks', () => {
    const source = `/** No example. */
/**
 * One.
 *
 * @example
 * \`\`\`ts
 * if (a) {
 *   b();
 * }
 * \`\`\`
 * @throws nothing
 * @example
 * \`\`\`ts
 * c();
 * \`\`\`
 */
export const a = '@example';
`;
    expect(examplesOf(source)).toEqual([
      { file: 'a.ts', line: 7, code: 'if (a) {\n  b();\n}\n' },
      { file: 'a.ts', line: 14, code: 'c();\n' },
    ]);
  });

  test.each([
    ['without a fence', '/**\n * @example\n * a();\n */\n'],
    ['on the line of its tag', '/**\n * @example a();\n */\n'],
    ['with a fence that is left open', '/**\n * @example\n * ```ts\n * a();\n */\n'],
  ])('refuses one %s', (_, source) => {
    expect(() => examplesOf(source)).toThrow(/@example/);
  });
});

/** Declarations of the names that the examples of a package use without declaring them. */
const NAMES = {
  core: `import type { BlockDevice, ByteSource, Qcow2Image } from 'qcow2';
declare global {
  const image: Qcow2Image;
  const device: BlockDevice;
  const source: ByteSource;
  const bytes: Uint8Array<ArrayBuffer>;
  const file: File;
  const url: string;
  const signal: AbortSignal;
}
`,
  opfs: `import type { Store, WorkerImage } from 'qcow2-opfs';
declare global {
  const store: Store;
  const image: WorkerImage;
  const bytes: Uint8Array<ArrayBuffer>;
  const file: File;
  const handle: FileSystemFileHandle;
  const url: string;
  const signal: AbortSignal;
}
`,
};

/**
 * Not `tsconfig.json`: Vite would see it come, and transform everything anew under the tests that run beside this one.
 */
const PROJECT = 'examples.json';

/** Writes a project in which each example is a module, named after its location. */
function writeProject(name: keyof typeof NAMES, examples: readonly DocExample[]): string {
  // Inside the repository, where the packages are found by their names.
  const folder = join(root, '.cache/doc-examples', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const base = relative(folder, root);
  const config = {
    extends: join(base, 'tsconfig.check.json'),
    compilerOptions: {
      lib: ['es2023', 'esnext.disposable', 'dom', 'dom.iterable', 'dom.asynciterable'],
      types: ['node'],
      noUnusedLocals: false,
    },
    include: ['.'],
    references: ['core', 'core/node', 'opfs'].map((path) => ({ path: join(base, 'packages', path) })),
  };
  writeFileSync(join(folder, PROJECT), JSON.stringify(config));
  writeFileSync(join(folder, 'names.ts'), NAMES[name]);
  for (const { file, line, code } of examples) {
    writeFileSync(join(folder, `${file.replace(/\W/g, '-')}-${line}.ts`), `${code}export {};\n`);
  }
  return folder;
}

/** Returns the compiler's output. */
function compile(folder: string): string {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  try {
    return execFileSync(process.execPath, [compiler, '-b', join(folder, PROJECT), '--pretty', 'false'], {
      encoding: 'utf8',
    });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

describe('compiling', () => {
  test.each([
    { name: 'core', sources: ['src', 'node'] },
    { name: 'opfs', sources: ['src'] },
  ] as const)('accepts the examples of $name', ({ name, sources }) => {
    const examples = sources.flatMap((each) => readDocExamples(join(root, 'packages', name, each)));
    expect(examples.length).toBeGreaterThan(5);
    expect(compile(writeProject(name, examples))).toBe('');
  });

  test('refuses one that uses something undefined', () => {
    const folder = writeProject('core', [{ file: 'a.ts', line: 1, code: 'await image.boot();\n' }]);
    expect(compile(folder)).toMatch(/a-ts-1\.ts\(1,\d+\): error TS2339: .*'boot'/);
  });
});
