/**
 * Parses the `json:` description of a file, which QEMU accepts in place of a name: options by name, nested or dotted.
 */
import { Qcow2Error } from 'qcow2';

/** A description of one file. */
export interface FileDescription {
  /** Its path or address. */
  readonly path: string;
  /** It is a path in any case: a prefix such as `file:` is part of it. */
  readonly isPlain: boolean;
  readonly format: 'raw' | 'qcow2' | undefined;
}

/** Drivers that read one file unchanged. */
const FILE_DRIVERS: readonly unknown[] = ['file', 'http', 'https', 'ftp', 'ftps'];
/** Options that do not change the bytes read. */
const IGNORED_OPTIONS = new RegExp(
  `^(?:${[
    'node-name',
    '(?:auto-)?read-only',
    'discard(?:-no-unref)?',
    'detect-zeroes',
    'force-share',
    'locking',
    'aio(?:-max-batch)?',
    'drop-cache',
    'x-check-cache-dropped',
    String.raw`cache(?:-size|-clean-interval|\..*)?`,
    '(?:l2|refcount)-cache-.*',
    'lazy-refcounts',
    'pass-discard-.*',
    String.raw`overlap-check(?:\..*)?`,
    'readahead',
    'timeout',
    'sslverify',
  ].join('|')})$`,
);

/**
 * Parses a description; null if the name is not one.
 *
 * @throws {@link Qcow2Error} `unsupported` for an option that changes the bytes read; `details.option` names it.
 */
export function fileDescription(name: string): FileDescription | null {
  const options = name.startsWith('json:') ? parse(name.slice('json:'.length)) : null;
  if (options === null) return null;
  const refuse = (option: string): never => {
    const setting = `${JSON.stringify(option)} (${JSON.stringify(options.get(option))})`;
    const message = `The description ${JSON.stringify(name)} has the option ${setting}, which is not supported.`;
    throw new Qcow2Error('unsupported', `${message} Without it other bytes would be read.`, {
      what: 'file',
      name,
      option,
    });
  };
  let path: { readonly option: string; readonly value: string } | null = null;
  for (const [option, value] of options) {
    // The options of the protocol layer are nested in "file".
    const own = option.replace(/^(?:file\.)+/, '');
    const isName = own === 'filename' || own === 'url';
    if (isName && typeof value === 'string' && path === null) path = { option, value };
    else if (
      own === 'driver'
        ? !isSupportedDriver(option, value)
        : !(own === 'offset' && value === 0) && !IGNORED_OPTIONS.test(own)
    ) {
      refuse(option);
    }
  }
  // QEMU cannot open it either: treat it as a plain name.
  if (path === null) return null;
  const driver = options.get('driver');
  const isPlain = options.get(path.option.replace(/[^.]*$/, 'driver')) === 'file';
  // Some versions of QEMU read this value as a path, others as a URL.
  if (!isPlain && path.option.endsWith('filename') && /^[a-z][a-z\d+_-]+:/i.test(path.value)) refuse(path.option);
  const format = driver === undefined ? undefined : driver === 'qcow2' ? 'qcow2' : 'raw';
  return { path: path.value, isPlain, format };
}

/**
 * True if the driver is supported here. The top layer may be raw or qcow2; below it only drivers that read one file
 * unchanged.
 */
function isSupportedDriver(option: string, driver: unknown): boolean {
  return driver === 'raw' || (driver === 'qcow2' && option === 'driver') || FILE_DRIVERS.includes(driver);
}

/** Every option by its dotted name; null if this is not a description. */
function parse(json: string): ReadonlyMap<string, unknown> | null {
  try {
    const options = new Map<string, unknown>();
    const described: unknown = JSON.parse(doubleQuoted(json));
    if (typeof described !== 'object' || described === null) return null;
    const flatten = (value: object, prefix: string): void => {
      for (const [key, inner] of Object.entries(value)) {
        if (typeof inner === 'object' && inner !== null) flatten(inner, `${prefix}${key}.`);
        else options.set(prefix + key, inner);
      }
    };
    flatten(described, '');
    return options;
  } catch {
    return null; // not JSON: treat it as a plain name
  }
}

/** QEMU also accepts strings in single quotes. */
function doubleQuoted(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'/gs, (whole, single?: string) =>
    single === undefined
      ? whole
      : `"${single.replace(/\\'/g, "'").replace(/\\.|"/gs, (part) => (part === '"' ? '\\"' : part))}"`,
  );
}
