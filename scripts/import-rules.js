/** The dependency rule of ARCHITECTURE.md as data: what each part of each package may import. */

/**
 * A part of a package is a folder or a loose file, named by its path without the extension. It may import itself, and:
 *
 * @typedef {object} Part
 * @property {readonly string[]} imports parts whose values and types it may use
 * @property {readonly string[]} types parts whose types alone it may use
 * @property {readonly string[]} packages packages from outside; one that ends in `:` allows every name that begins so
 */

/**
 * @typedef {object} PackageRule
 * @property {string} folder from the root of the repository
 * @property {readonly string[]} [generated] modules that the build writes, as paths of the sources that they would have
 * @property {Readonly<Record<string, Part>>} parts
 */

/** @param {Partial<Part>} part @returns {Part} */
const part = ({ imports = [], types = [], packages = [] } = {}) => ({ imports, types, packages });

const BELOW_IO = ['src/errors', 'src/format', 'src/map', 'src/space'];
const BELOW_VERBS = [...BELOW_IO, 'src/io'];
const BELOW_IMAGE = [...BELOW_VERBS, 'src/options', 'src/codecs', 'src/sources', 'src/verbs'];
const BELOW_INDEX = [...BELOW_IMAGE, 'src/open', 'src/create', 'src/image'];

/** `format <- map, space <- io <- verbs, image <- index`; codecs and sources implement interfaces of `io`. */
const core = {
  folder: 'packages/core',
  parts: {
    'src/errors': part(),
    'src/format': part({ imports: ['src/errors'] }),
    'src/options': part({ types: ['src/errors', 'src/format', 'src/io'] }),
    'src/map': part({ imports: ['src/errors', 'src/format'], types: ['src/options'] }),
    // `space` implements the Allocator interface that `map` declares.
    'src/space': part({ imports: ['src/errors', 'src/format'], types: ['src/map', 'src/options'] }),
    'src/io': part({ imports: BELOW_IO, types: ['src/options'] }),
    'src/codecs': part({
      imports: ['src/errors', 'src/format'],
      types: ['src/io', 'src/options'],
      packages: ['fflate'],
    }),
    'src/sources': part({ imports: ['src/errors', 'src/io'], types: ['src/options'] }),
    'src/verbs': part({ imports: BELOW_VERBS, types: ['src/options'] }),
    'src/open': part({ imports: [...BELOW_IMAGE, 'src/open-references', 'src/open-write'] }),
    'src/open-references': part({ imports: BELOW_IMAGE }),
    'src/open-write': part({ imports: BELOW_IMAGE }),
    'src/create-plan': part({ imports: ['src/errors', 'src/format'], types: ['src/options'] }),
    'src/create': part({ imports: [...BELOW_IMAGE, 'src/create-plan'] }),
    'src/image': part({ imports: [...BELOW_IMAGE, 'src/open', 'src/open-write', 'src/create'] }),
    'src/index': part({ imports: BELOW_INDEX }),
    'src/internal': part({ imports: ['src/errors', 'src/io', 'src/map', 'src/sources', 'src/verbs'] }),
    node: part({ imports: ['src/index', 'src/internal'], packages: ['node:'] }),
  },
};

/**
 * The engine is used through its public face, and what of it is no engine but serves here as well through `qcow2/internal`. The
 * two entries differ in how they start the worker, and neither may have the other's way in it: it would weigh 60 KB gzipped, or
 * lead bundlers to a script that they cannot build.
 */
const opfs = {
  folder: 'packages/opfs',
  generated: ['src/worker-script.ts'],
  parts: {
    'src/index': part({ imports: ['src', 'src/modular-store'] }),
    'src/inline': part({ imports: ['src', 'src/inline-store'] }),
    'src/modular-store': part({ imports: ['src'] }),
    'src/inline-store': part({ imports: ['src', 'src/worker-script'] }),
    'src/worker-script': part(),
    src: part({ packages: ['qcow2', 'qcow2/internal', 'comlink'] }),
  },
};

/** @type {readonly PackageRule[]} */
export const PACKAGE_RULES = [core, opfs];

/**
 * The part that a file of a package belongs to, or undefined.
 *
 * @param {PackageRule} rule
 * @param {string} path from the package's folder
 * @returns {string | undefined}
 */
export function partOf({ parts }, path) {
  return Object.keys(parts).find((name) => path.startsWith(`${name}/`) || path.replace(/\.tsx?$/, '') === name);
}
