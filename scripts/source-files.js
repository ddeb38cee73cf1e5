/** Lists and parses the TypeScript sources of a package, and reads their imports. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSync, Visitor } from 'vite';

/**
 * @typedef {object} Import
 * @property {string} specifier as written
 * @property {boolean} typeOnly gone once compiled
 * @property {number} line counted from 1
 */

/**
 * Lists the files below `folder` whose names match, as sorted relative paths with forward slashes. Skips installed and
 * built files.
 *
 * @param {string} folder
 * @param {RegExp} name
 * @returns {string[]}
 */
export function listFiles(folder, name) {
  /** @param {string} below @returns {string[]} */
  const walk = (below) =>
    readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) => {
      const path = posix.join(below, entry.name);
      if (entry.isDirectory()) return /^(?:\.|node_modules$|dist$|test-results$)/.test(entry.name) ? [] : walk(path);
      return name.test(entry.name) ? [path] : [];
    });
  return walk('').sort();
}

/**
 * Lists the TypeScript files below `folder`, as {@link listFiles}, without declaration files.
 *
 * @param {string} folder
 * @returns {string[]}
 */
export function listSources(folder) {
  return listFiles(folder, /(?<!\.d)\.tsx?$/);
}

/**
 * Parses a file.
 *
 * @param {string} folder
 * @param {string} path
 */
export function parseSource(folder, path) {
  const text = readFileSync(join(folder, path), 'utf8');
  const parsed = parseSync(path, text, { lang: path.endsWith('x') ? 'tsx' : 'ts' });
  if (parsed.errors.length > 0) throw new Error(`${join(folder, path)} does not parse: ${parsed.errors[0]?.message}`);
  return { program: parsed.program, comments: parsed.comments, text };
}

/**
 * Reads all imports of a file: import and export declarations, `import()`, and `import('…')` types.
 *
 * @param {string} folder
 * @param {string} path
 * @returns {Import[]}
 */
export function readImports(folder, path) {
  const { program, text } = parseSource(folder, path);
  /** @type {Import[]} */
  const imports = [];
  /** @param {{ type: string, start: number, value?: unknown }} source @param {boolean} typeOnly */
  const add = (source, typeOnly) => {
    const line = text.slice(0, source.start).split('\n').length;
    // A computed specifier cannot be checked, so every rule refuses it.
    const specifier = typeof source.value === 'string' ? source.value : '(computed)';
    imports.push({ specifier, typeOnly, line });
  };
  new Visitor({
    ImportDeclaration: (node) =>
      add(node.source, node.importKind === 'type' || allTypes(node.specifiers, 'importKind')),
    ExportNamedDeclaration: (node) => {
      if (node.source) add(node.source, node.exportKind === 'type' || allTypes(node.specifiers, 'exportKind'));
    },
    ExportAllDeclaration: (node) => add(node.source, node.exportKind === 'type'),
    ImportExpression: (node) => add(node.source, false),
    TSImportType: (node) => add(node.source, true),
  }).visit(program);
  return imports;
}

/**
 * @param {readonly object[]} specifiers
 * @param {'importKind' | 'exportKind'} key
 */
function allTypes(specifiers, key) {
  return (
    specifiers.length > 0 &&
    specifiers.every((each) => Object.entries(each).some(([k, v]) => k === key && v === 'type'))
  );
}
