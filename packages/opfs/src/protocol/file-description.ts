/** The `json:` description of a file, as QEMU takes it in place of a name: options by name, nested or with dots. */
import { Qcow2Error } from 'qcow2';

/** A file that is described, and nothing but that file. */
export interface FileDescription {
  /** Its path or address. */
  readonly path: string;
  /** It is a path whatever it looks like: `file:` and the like are part of it. */
  readonly isPlain: boolean;
  readonly format: 'raw' | 'qcow2' | undefined;
}

/** Drivers that read one file as it is. */
const FILE_DRIVERS: readonly unknown[] = ['file', 'http', 'https', 'ftp', 'ftps'];
/** Options that do not change which bytes are read. */
const HARMLESS =
  /^(?:node-name|(?:auto-)?read-only|discard(?:-no-unref)?|detect-zeroes|force-share|locking|aio(?:-max-batch)?|drop-cache|x-check-cache-dropped|cache(?:-size|-clean-interval|\..*)?|(?:l2|refcount)-cache-.*|lazy-refcounts|pass-discard-.*|overlap-check(?:\..*)?|readahead|timeout|sslverify)$/;

/**
 * Reads a description; null for a name that is none.
 *
 * @throws {@link Qcow2Error} `unsupported` for an option that changes what is read; its name is `option` of the
 *   details.
 */
export function fileDescription(name: string): FileDescription | null {
  const options = name.startsWith('json:') ? parse(name.slice('json:'.length)) : null;
  if (options === null) return null;
  const refuse = (option: string): never => {
    const value = JSON.stringify(options.get(option));
    const message = `The description ${JSON.stringify(name)} has the option ${JSON.stringify(option)} (${value}), which is not honoured here.`;
    throw new Qcow2Error('unsupported', `${message} Without it other bytes would be read.`, {
      what: 'file',
      name,
      option,
    });
  };
  let path: { readonly option: string; readonly value: string } | null = null;
  for (const [option, value] of options) {
    // A description of the file below is nested in "file".
    const own = option.replace(/^(?:file\.)+/, '');
    const isName = own === 'filename' || own === 'url';
    if (isName && typeof value === 'string' && path === null) path = { option, value };
    else if (
      own === 'driver' ? !isHonoured(option, value) : !(own === 'offset' && value === 0) && !HARMLESS.test(own)
    ) {
      refuse(option);
    }
  }
  // QEMU opens nothing by it: it is a name as it stands.
  if (path === null) return null;
  const driver = options.get('driver');
  const isPlain = options.get(path.option.replace(/[^.]*$/, 'driver')) === 'file';
  // What stands there is a path to one version of QEMU, and an address to another.
  if (!isPlain && path.option.endsWith('filename') && /^[a-z][a-z\d+_-]+:/i.test(path.value)) refuse(path.option);
  const format = driver === undefined ? undefined : driver === 'qcow2' ? 'qcow2' : 'raw';
  return { path: path.value, isPlain, format };
}

/** The image's own format may be of either kind; below it a file is read as it is. */
function isHonoured(option: string, driver: unknown): boolean {
  return driver === 'raw' || (driver === 'qcow2' && option === 'driver') || FILE_DRIVERS.includes(driver);
}

/** Every option by its name with dots; null for what is no description. */
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
    return null; // no JSON after all: then it is a name as it stands
  }
}

/** QEMU takes strings in single quotes, too. */
function doubleQuoted(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'/gs, (whole, single?: string) =>
    single === undefined
      ? whole
      : `"${single.replace(/\\'/g, "'").replace(/\\.|"/gs, (part) => (part === '"' ? '\\"' : part))}"`,
  );
}
