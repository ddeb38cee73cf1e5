/** Tests that the links and file names in the repository's documents lead to files that exist. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from '../run.js';
import { listFiles } from '../source-files.js';

const DOCUMENTS = listFiles(root, /\.md$/);
const text = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Returns the targets of a document's links, without URLs and fragments. */
function linksOf(document: string): string[] {
  const targets = [...text(document).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target]) => target ?? '');
  return targets.filter((target) => !/^https?:/.test(target));
}

test('there are documents', () => {
  expect(DOCUMENTS).toEqual(expect.arrayContaining(['README.md', 'docs/format.md', 'packages/core/README.md']));
});

test.each(DOCUMENTS)('%s links to files that exist', (document) => {
  const targets = linksOf(document).map((target) => join(dirname(document), target));
  expect(targets.filter((target) => !existsSync(join(root, target)))).toEqual([]);
});

test.each(['packages/core/src', 'packages/opfs/src', 'demo/src'])(
  'ARCHITECTURE.md names every folder of %s',
  (folder) => {
    const paths = listFiles(join(root, folder), /\.tsx?$/);
    const folders = new Set(paths.flatMap((path) => dirname(path).split('/')));
    folders.delete('.');
    expect(folders.size).toBeGreaterThan(5);
    expect([...folders].filter((name) => !text('ARCHITECTURE.md').includes(`${name}/`))).toEqual([]);
  },
);

describe('source files that a document names', () => {
  const CORE = /`((?:format|engine|verbs|codecs|sources|api)\/[\w/-]+\.ts)`/g;
  const OPFS = /`((?:page|protocol|worker)\/[\w/-]+\.ts)`/g;

  test.each([
    ['docs/format.md', 'packages/core/src', CORE],
    ['docs/durability.md', 'packages/core/src', CORE],
    ['ARCHITECTURE.md', 'packages/core/src', CORE],
    ['ARCHITECTURE.md', 'packages/opfs/src', OPFS],
    ['ARCHITECTURE.md', '.', /`((?:demo|packages)\/[\w/.-]+\.(?:tsx?|css))`/g],
  ])('of %s exist in %s', (document, folder, names) => {
    const paths = [...text(document).matchAll(names)].map(([, path]) => path ?? '');
    expect(paths).not.toEqual([]);
    expect(paths.filter((path) => !existsSync(join(root, folder, path)))).toEqual([]);
  });
});
