/**
 * Fails when a public declaration has no doc comment: `node scripts/check-docs.js`. Public are all exports of a
 * package's entries, and all methods of exported classes and interfaces. A method that implements a documented one
 * inherits its comment. Every module must start with a doc comment, too.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readExports } from './public-exports.js';
import { root } from './run.js';
import { listSources, parseSource } from './source-files.js';

/** @typedef {import('./public-exports.js').Declaration} Declaration */
/** @typedef {import('./public-exports.js').Method} Method */
/** @typedef {{ folder: string, sources: readonly string[], entries: readonly string[] }} Package */

/** @type {readonly Package[]} */
const PACKAGES = [
  { folder: 'packages/core', sources: ['src', 'node'], entries: ['src/index.ts', 'node/index.ts'] },
  { folder: 'packages/opfs', sources: ['src'], entries: ['src/index.ts', 'src/inline.ts'] },
];

/**
 * Returns a message for each missing doc comment.
 *
 * @param {readonly Package[]} packages
 * @param {string} [repository]
 * @returns {string[]}
 */
export function checkDocs(packages, repository = root) {
  const modules = packages.flatMap(({ folder, sources }) =>
    sources.flatMap((each) => undocumentedModules(repository, `${folder}/${each}`)),
  );
  const declarations = packages.flatMap(({ folder, entries }) =>
    entries.flatMap((entry) => readExports(join(repository, folder), entry)),
  );
  if (declarations.length === 0) return ['no exports found'];
  const exports = declarations.flatMap((each) => [
    ...(each.documented ? [] : [`${each.file}: ${each.name} has no doc comment`]),
    ...undocumentedMethods(each, declarations).map((name) => `${each.file}: ${each.name}.${name} has no doc comment`),
  ]);
  return [...modules, ...new Set(exports)];
}

/**
 * @param {Declaration} declaration
 * @param {readonly Declaration[]} all
 */
function undocumentedMethods(declaration, all) {
  const inherited = all
    .filter((each) => declaration.heritage.includes(each.name))
    .flatMap((each) => each.methods.filter((method) => method.documented).map((method) => method.name));
  return declaration.methods
    .filter(({ name, documented }) => !documented && !inherited.includes(name))
    .map(({ name }) => name);
}

/**
 * @param {string} repository
 * @param {string} folder
 */
function undocumentedModules(repository, folder) {
  const inFull = join(repository, folder);
  return listSources(inFull)
    .filter((path) => {
      const first = parseSource(inFull, path).comments.find(({ type }) => type === 'Block');
      return !first?.value.startsWith('*') || first.start > 200; // a reference directive may precede it
    })
    .map((path) => `${folder}/${path}: does not open with a doc comment that says what it does`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = checkDocs(PACKAGES);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log('Everything public has a doc comment.');
}
