/** Reads the exports of a package: each declaration, followed through re-exports, and whether it has a doc comment. */
import { posix } from 'node:path';
import { parseSource } from './source-files.js';

/** @typedef {import('vite').ESTree.Statement} Statement */
/** @typedef {import('vite').ESTree.Declaration} DeclarationNode */
/** @typedef {ReturnType<typeof parseSource>} Source */
/** @typedef {{ name: string, documented: boolean }} Method */

/**
 * @typedef {object} Declaration
 * @property {string} name as exported
 * @property {string} file from the package's folder
 * @property {boolean} documented
 * @property {readonly Method[]} methods of a class or an interface: the public ones
 * @property {readonly string[]} heritage the names of what it extends and implements
 */

/**
 * Returns all exports of a module, or the one called `only`.
 *
 * @param {string} folder of the package
 * @param {string} file from that folder
 * @param {string} [only]
 * @returns {Declaration[]}
 */
export function readExports(folder, file, only) {
  const source = parseSource(folder, file);
  /** @param {string} specifier */
  const target = (specifier) => posix.join(posix.dirname(file), specifier.replace(/\.js$/, '.ts'));
  /** @param {string} name */
  const wanted = (name) => only === undefined || name === only;

  return source.program.body.flatMap((statement) => {
    if (statement.type === 'ExportAllDeclaration') return readExports(folder, target(statement.source.value), only);
    if (statement.type !== 'ExportNamedDeclaration') return [];
    if (statement.declaration) {
      return declare(source, file, statement.start, statement.declaration).filter(({ name }) => wanted(name));
    }
    return statement.specifiers.flatMap(({ local, exported }) => {
      const name = nameOf(exported);
      if (!wanted(name)) return [];
      const found = statement.source
        ? readExports(folder, target(statement.source.value), nameOf(local))
        : readLocal(source, file, nameOf(local));
      return found.map((declaration) => ({ ...declaration, name }));
    });
  });
}

/** @param {import('vite').ESTree.ModuleExportName} node */
function nameOf(node) {
  return node.type === 'Literal' ? node.value : node.name;
}

/**
 * Returns the declarations of a name that the module exports separately.
 *
 * @param {Source} source
 * @param {string} file
 * @param {string} name
 * @returns {Declaration[]}
 */
function readLocal(source, file, name) {
  return source.program.body.flatMap((statement) =>
    'id' in statement || statement.type === 'VariableDeclaration'
      ? declare(source, file, statement.start, /** @type {DeclarationNode} */ (statement)).filter(
          (each) => each.name === name,
        )
      : [],
  );
}

/**
 * @param {Source} source
 * @param {string} file
 * @param {number} start of the statement, after its doc comment
 * @param {DeclarationNode} node
 * @returns {Declaration[]}
 */
function declare(source, file, start, node) {
  const documented = hasDoc(source, start);
  if (node.type === 'VariableDeclaration') {
    return node.declarations.map(({ id }) => ({
      name: 'name' in id ? id.name : textOf(source, id),
      file,
      documented,
      methods: [],
      heritage: [],
    }));
  }
  if (!('id' in node) || !node.id) return [];
  return [
    {
      name: textOf(source, node.id),
      file,
      documented,
      methods: methodsOf(source, node),
      heritage: heritageOf(source, node),
    },
  ];
}

/**
 * @param {Source} source
 * @param {DeclarationNode} node
 * @returns {Method[]}
 */
function methodsOf(source, node) {
  /** @param {{ start: number, key: { start: number, end: number } }} member */
  const method = (member) => ({ name: textOf(source, member.key), documented: hasDoc(source, member.start) });
  if (node.type === 'TSInterfaceDeclaration') {
    return node.body.body.flatMap((member) => {
      if (member.type === 'TSMethodSignature') return [method(member)];
      // A property needs no doc comment. If it has one, a class's getter may inherit it.
      return member.type === 'TSPropertySignature' && hasDoc(source, member.start) ? [method(member)] : [];
    });
  }
  if (node.type !== 'ClassDeclaration') return [];
  return node.body.body.flatMap((member) => {
    if (member.type !== 'MethodDefinition' || member.kind === 'constructor') return [];
    if (member.key.type === 'PrivateIdentifier' || (member.accessibility ?? 'public') !== 'public') return [];
    return [method(member)];
  });
}

/**
 * @param {Source} source
 * @param {DeclarationNode} node
 */
function heritageOf(source, node) {
  const clauses = [
    ...('implements' in node ? node.implements : []),
    ...(node.type === 'TSInterfaceDeclaration' ? node.extends : []),
  ];
  return clauses.map(({ expression }) => textOf(source, expression));
}

/**
 * True if a doc comment ends directly before `start`.
 *
 * @param {Source} source
 * @param {number} start
 */
function hasDoc({ comments, text }, start) {
  const last = comments.findLast((comment) => comment.end <= start);
  return last?.type === 'Block' && last.value.startsWith('*') && text.slice(last.end, start).trim() === '';
}

/**
 * @param {Source} source
 * @param {{ start: number, end: number }} node
 */
function textOf({ text }, { start, end }) {
  return text.slice(start, end);
}
