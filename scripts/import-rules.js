/** The dependency rule of ARCHITECTURE.md as data: what each part of each package may import. */

/**
 * A part of a package is a folder or a single file, named by its path without the extension. It may import itself, and:
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
 * @property {Components} [components] where the package has components, in files that end in `.tsx`
 */

/**
 * A component may be used only in its own part, with two exceptions: components of the parts in `shared`, and use by
 * the parts in `composers`.
 *
 * @typedef {object} Components
 * @property {readonly string[]} shared
 * @property {readonly string[]} composers
 */

/** @param {Partial<Part>} part @returns {Part} */
const part = ({ imports = [], types = [], packages = [] } = {}) => ({ imports, types, packages });

const ROOT = ['src/errors', 'src/arguments', 'src/choices'];
const BELOW_ENGINE = [...ROOT, 'src/format'];
const BELOW_LAYER = [...BELOW_ENGINE, 'src/engine/async', 'src/engine/mapping'];
const BELOW_READ = [...BELOW_LAYER, 'src/engine/layer'];
const BELOW_WRITE = [...BELOW_READ, 'src/engine/allocation', 'src/engine/read'];
const BELOW_VERBS = [...BELOW_WRITE, 'src/engine/write', 'src/sources', 'src/codecs', 'src/hashes'];
const BELOW_IMAGE = [...BELOW_VERBS, 'src/verbs'];
const BELOW_INDEX = [...BELOW_IMAGE, 'src/image'];

/**
 * `errors, api <- format <- engine/async, engine/mapping <- engine/allocation, engine/layer <- engine/read <-
 * engine/write <- verbs <- image <- index`; codecs and sources implement interfaces of `api` and `engine/layer`.
 */
const core = {
  folder: 'packages/core',
  parts: {
    'src/errors': part(),
    'src/arguments': part(),
    'src/choices': part({ imports: ['src/arguments'] }),
    'src/api': part({ types: ['src/errors', 'src/format'] }),
    'src/format': part({ imports: ['src/errors'] }),
    'src/engine/async': part({ imports: ROOT, types: ['src/api'] }),
    'src/engine/mapping': part({ imports: BELOW_ENGINE, types: ['src/api'] }),
    // It implements the Allocator interface that `mapping` declares.
    'src/engine/allocation': part({
      imports: [...BELOW_ENGINE, 'src/engine/async'],
      types: ['src/api', 'src/engine/mapping'],
    }),
    'src/engine/layer': part({ imports: BELOW_LAYER, types: ['src/api'] }),
    'src/engine/read': part({ imports: BELOW_READ, types: ['src/api'] }),
    'src/engine/write': part({ imports: BELOW_WRITE, types: ['src/api'] }),
    'src/codecs': part({ imports: BELOW_ENGINE, types: ['src/engine/layer'], packages: ['fflate'] }),
    'src/hashes': part({ types: ['src/api'], packages: ['@noble/hashes/legacy.js', '@noble/hashes/sha2.js'] }),
    'src/sources': part({ imports: [...ROOT, 'src/engine/async'], types: ['src/api'] }),
    'src/verbs': part({ imports: BELOW_VERBS, types: ['src/api'] }),
    'src/image': part({ imports: BELOW_IMAGE, types: ['src/api'] }),
    'src/index': part({ imports: BELOW_INDEX, types: ['src/api'] }),
    'src/internal': part({
      imports: [
        'src/engine/layer',
        'src/engine/async',
        'src/engine/mapping',
        ...ROOT,
        'src/image',
        'src/sources',
        'src/verbs',
      ],
      types: ['src/api'],
    }),
    node: part({ imports: ['src/index', 'src/internal'], packages: ['node:'] }),
  },
};

/**
 * The engine is used through its public exports, and shared helpers through `qcow2/internal`. The two entries start the
 * worker in different ways, and neither may import the other's: it would add 97 KB gzipped, or a script that bundlers
 * cannot build.
 */
const opfs = {
  folder: 'packages/opfs',
  generated: ['src/worker-script.ts'],
  parts: {
    'src/index': part({ imports: ['src/public', 'src/page/modular-store'] }),
    'src/inline': part({ imports: ['src/public', 'src/page/inline-store'] }),
    'src/public': part({ imports: ['src/page', 'src/protocol'] }),
    'src/page/modular-store': part({ imports: ['src/page', 'src/protocol'] }),
    'src/page/inline-store': part({ imports: ['src/page', 'src/protocol', 'src/worker-script'] }),
    'src/worker-script': part(),
    'src/page': part({ imports: ['src/protocol'], packages: ['qcow2', 'qcow2/internal', 'comlink'] }),
    'src/protocol': part({ packages: ['qcow2', 'qcow2/internal', 'comlink'] }),
    'src/worker': part({ imports: ['src/protocol'], packages: ['qcow2', 'qcow2/internal', 'comlink'] }),
  },
};

const PAGE_PACKAGES = ['preact', 'preact/hooks', '@preact/signals', 'qcow2', 'qcow2-opfs'];
const FEATURES = ['bitmaps', 'check', 'download', 'image', 'store', 'map', 'snapshots', 'welcome'];
const FEATURE_PARTS = [...FEATURES, 'session'].map((name) => `src/${name}`);

/**
 * `engine <- ui <- features, session <- app`: features use each other's state and texts, and only `app` combines their
 * components.
 */
const demo = {
  folder: 'demo',
  parts: {
    'src/engine': part({ packages: PAGE_PACKAGES }),
    'src/ui': part({ imports: ['src/engine'], packages: PAGE_PACKAGES }),
    ...Object.fromEntries(
      FEATURE_PARTS.map((name) => [
        name,
        part({ imports: ['src/engine', 'src/ui', ...FEATURE_PARTS], packages: PAGE_PACKAGES }),
      ]),
    ),
    'src/app': part({ imports: ['src/engine', 'src/ui', ...FEATURE_PARTS], packages: PAGE_PACKAGES }),
    'src/main': part({ imports: ['src/engine', 'src/ui', 'src/app'], packages: PAGE_PACKAGES }),
  },
  components: { shared: ['src/ui', 'src/download'], composers: ['src/app', 'src/main'] },
};

/** @type {readonly PackageRule[]} */
export const PACKAGE_RULES = [core, opfs, demo];

/**
 * Returns the part that a file of a package belongs to, or undefined.
 *
 * @param {PackageRule} rule
 * @param {string} path from the package's folder
 * @returns {string | undefined}
 */
export function partOf({ parts }, path) {
  return Object.keys(parts).find((name) => path.startsWith(`${name}/`) || path.replace(/\.tsx?$/, '') === name);
}
