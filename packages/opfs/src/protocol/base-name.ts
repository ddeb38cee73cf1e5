/** The name that an image has for another file: which file it means, in which format, or why that cannot be told. */
import { fileDescription } from './file-description.js';

/** The file that a name in an image means. */
export interface NamedFile {
  /** Its own name, without folders; it may be no name that an image of a store can have. */
  readonly name: string;
  /** The format that a `json:` description gives for it; what the image itself says comes first. */
  readonly format?: 'raw' | 'qcow2';
}

/** Addresses with a path that ends in a file's name. */
const ADDRESS = /^(?:https?|ftps?|ssh|nfs):\/\/[^/?#]*/i;
/** QEMU's other protocols: what follows is no path, but a host, an export, a device or a folder. */
const PROTOCOL =
  /^(?:nbds?|fat|rbd|iscsi|iser|gluster|sheepdog|nvme|null|blkdebug|blkverify|vxhs|virtio-blk|host_(?:device|cdrom))\b[^/:]*:/i;

/**
 * The file that the name of a backing or data file means, as images write it: a path of either kind, `file:` and a
 * path, an address, or a `json:` description. A name of another protocol, as `nbd:`, is returned whole, since it names
 * no file.
 *
 * @throws {@link Qcow2Error} `unsupported` for a description with an option that changes what is read: it is `option`
 *   of the details.
 */
export function namedFile(name: string): NamedFile {
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
  if (ADDRESS.test(name)) return lastOfAddress(name);
  if (PROTOCOL.test(name)) return name;
  return lastOfPath(name.replace(/^file:/, ''));
}

function lastOfPath(path: string): string {
  return path.replace(/^.*[\\/]/s, '');
}

/** What follows the path may hold slashes of its own, and the path is percent-encoded. */
function lastOfAddress(address: string): string {
  const part = lastOfPath(address.replace(ADDRESS, '').replace(/[?#].*$/s, ''));
  try {
    const decoded = decodeURIComponent(part);
    // An encoded slash is part of a name that no file here can have.
    return /[\\/\0]/.test(decoded) ? part : decoded;
  } catch {
    return part; // a stray percent sign, or bytes that are no UTF-8
  }
}
