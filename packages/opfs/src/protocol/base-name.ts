/** Parses the name of a backing or data file: finds the file's own name and format, or throws why it cannot. */
import { requireKind } from 'qcow2/internal';
import { fileDescription } from './file-description.js';

/** The file that a name in an image refers to. */
export interface NamedFile {
  /** Its own name, without folders. It may be invalid as the name of a stored image. */
  readonly name: string;
  /** The format given by a `json:` description. A format given in the image takes precedence. */
  readonly format?: 'raw' | 'qcow2';
}

/** URLs with a path that ends in a file's name. */
const URL_PREFIX = /^(?:https?|ftps?|ssh|nfs):\/\/[^/?#]*/i;
/** QEMU's other protocols: what follows is not a path, but a host, an export, a device or a folder. */
const PROTOCOLS = [
  'nbds?',
  'fat',
  'rbd',
  'iscsi',
  'iser',
  'gluster',
  'sheepdog',
  'nvme',
  'null',
  'blkdebug',
  'blkverify',
  'vxhs',
  'virtio-blk',
  'host_device',
  'host_cdrom',
];
const PROTOCOL_PREFIX = new RegExp(String.raw`^(?:${PROTOCOLS.join('|')})\b[^/:]*:`, 'i');

/**
 * Parses the name of a backing or data file as images contain it: a path of either kind, `file:` and a path, a URL, or
 * a `json:` description. A name of another protocol, as `nbd:`, is returned unchanged, since it names no file.
 *
 * @throws {@link Qcow2Error} `unsupported` for a description with an option that changes the bytes read;
 *   `details.option` names it; TypeError for a name that is not a string.
 */
export function namedFile(name: string): NamedFile {
  requireKind('name', name, 'a string');
  const described = fileDescription(name);
  if (described === null) return { name: lastPart(name) };
  const { path, isPlain, format } = described;
  return { name: isPlain ? lastOfPath(path) : lastPart(path), ...(format === undefined ? {} : { format }) };
}

/**
 * The file's own name in the name of a backing or data file: `name` of {@link namedFile}.
 *
 * @throws as {@link namedFile} does.
 *
 * @example
 * ```ts
 * import { baseName } from 'qcow2-opfs';
 *
 * baseName('/var/lib/images/base.qcow2'); // 'base.qcow2'
 * baseName('https://example.org/a%20b.qcow2?v=2'); // 'a b.qcow2'
 * ```
 */
export function baseName(name: string): string {
  return namedFile(name).name;
}

function lastPart(name: string): string {
  if (URL_PREFIX.test(name)) return lastOfUrl(name);
  if (PROTOCOL_PREFIX.test(name)) return name;
  return lastOfPath(name.replace(/^file:/, ''));
}

function lastOfPath(path: string): string {
  return path.replace(/^.*[\\/]/s, '');
}

/** A query may contain slashes of its own, and the path is percent-encoded. */
function lastOfUrl(address: string): string {
  const part = lastOfPath(address.replace(URL_PREFIX, '').replace(/[?#].*$/s, ''));
  try {
    const decoded = decodeURIComponent(part);
    // A decoded slash would be part of the name; no stored file can have such a name.
    return /[\\/\0]/.test(decoded) ? part : decoded;
  } catch {
    return part; // a stray percent sign, or invalid UTF-8
  }
}
