/** Fails when an import breaks the dependency rule or closes a cycle: `node scripts/check-imports.js`. */
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PACKAGE_RULES, partOf } from './import-rules.js';
import { root } from './run.js';
import { listSources, readImports } from './source-files.js';

/** @typedef {import('./import-rules.js').PackageRule} PackageRule */
/** @typedef {import('./source-files.js').Import} Import */

/**
 * Returns a message for each violation of the rule in a package.
 *
 * @param {PackageRule} rule
 * @param {string} [repository]
 * @returns {string[]}
 */
export function checkPackage(rule, repository = root) {
  const folder = join(repository, rule.folder);
  const roots = Object.keys(rule.parts).map((name) => name.split('/')[0]);
  const files = listSources(folder).filter((path) => roots.includes(path.split('/')[0]));
  if (files.length === 0) return [`${rule.folder}: no sources found`];
  /** @type {Map<string, string[]>} */
  const graph = new Map();
  const problems = files.flatMap((path) => {
    const imports = readImports(folder, path);
    graph.set(
      path,
      imports.map(({ specifier }) => resolve(path, specifier, files)).filter((target) => target !== undefined),
    );
    return imports.flatMap((each) => {
      const problem = problemOf(rule, path, each, [...files, ...(rule.generated ?? [])]);
      return problem ? [`${rule.folder}/${path}:${each.line}: imports ${each.specifier}: ${problem}`] : [];
    });
  });
  return [...problems, ...findCycles(graph).map((cycle) => `${rule.folder}: import cycle: ${cycle.join(' -> ')}`)];
}

/**
 * Returns the message for one import, undefined when it is allowed.
 *
 * @param {PackageRule} rule
 * @param {string} path
 * @param {Import} imported
 * @param {readonly string[]} files
 */
function problemOf(rule, path, { specifier, typeOnly }, files) {
  const from = partOf(rule, path);
  const part = from === undefined ? undefined : rule.parts[from];
  if (from === undefined || part === undefined) return 'this file belongs to no part of scripts/import-rules.js';
  if (!specifier.startsWith('.')) {
    const allowed = part.packages.some((name) =>
      name.endsWith(':') ? specifier.startsWith(name) : specifier === name,
    );
    return allowed ? undefined : `${from} may import ${list(part.packages)} from outside the package`;
  }
  if (specifier.endsWith('.css')) return undefined;
  const target = resolve(path, specifier, files);
  if (target === undefined) return 'no such source file; relative imports end in .js';
  const to = partOf(rule, target);
  if (to === undefined) return 'that file belongs to no part of scripts/import-rules.js';
  if (target.endsWith('.tsx') && to !== from && !mayUseComponents(rule, from, to)) {
    return `components of ${to} are not used in ${from}`;
  }
  if (to === from || part.imports.includes(to) || (typeOnly && part.types.includes(to))) return undefined;
  return `${from} may import ${list(part.imports)}, and types of ${list([...part.imports, ...part.types])}`;
}

/**
 * True if components of `to` may be used in `from`.
 *
 * @param {PackageRule} rule
 * @param {string} from
 * @param {string} to
 */
function mayUseComponents({ components }, from, to) {
  return components === undefined || components.shared.includes(to) || components.composers.includes(from);
}

/** @param {readonly string[]} names */
function list(names) {
  return names.length === 0 ? 'nothing' : names.join(', ');
}

/**
 * Resolves a relative specifier to a source file, as a path from the package's folder. Undefined when there is none.
 *
 * @param {string} path
 * @param {string} specifier
 * @param {readonly string[]} files
 * @returns {string | undefined}
 */
function resolve(path, specifier, files) {
  if (!specifier.endsWith('.js')) return undefined;
  const target = posix.join(posix.dirname(path), specifier.slice(0, -'.js'.length));
  return [`${target}.ts`, `${target}.tsx`].find((file) => files.includes(file));
}

/**
 * Returns one cycle for each import that closes one.
 *
 * @param {ReadonlyMap<string, readonly string[]>} graph
 * @returns {string[][]}
 */
export function findCycles(graph) {
  /** @type {string[][]} */
  const cycles = [];
  /** @type {Set<string>} */
  const done = new Set();
  /** @param {string} path @param {readonly string[]} above */
  const visit = (path, above) => {
    const start = above.indexOf(path);
    if (start >= 0) cycles.push([...above.slice(start), path]);
    if (start >= 0 || done.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...above, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = PACKAGE_RULES.flatMap((rule) => checkPackage(rule));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log('Every import follows the dependency rule.');
}
