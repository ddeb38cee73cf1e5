/** Reads other processes' locks on a file from Linux's /proc/locks: Node has no call for locks. */
import { fstatSync, readFileSync } from 'node:fs';

/** A lock of another process. */
export interface FileLock {
  /** Its type: `OFDLCK`, as QEMU uses, `POSIX` or `FLOCK`. */
  readonly kind: string;
  readonly access: 'READ' | 'WRITE';
  /** Undefined when the kernel does not list it, as for QEMU's locks. */
  readonly pid: number | undefined;
}

/**
 * `1: OFDLCK ADVISORY READ -1 fe:00:2147220 100 101`, see proc_locks(5). A waiting request has an arrow before its
 * type.
 */
const LOCK = /^\d+: (POSIX|OFDLCK|FLOCK) +\S+ +(READ|WRITE) +(-?\d+) ([\da-f]+:[\da-f]+:\d+) /;

/** Returns the locks of other processes on the file of a descriptor. Empty on platforms other than Linux. */
export function othersLocks(fd: number): FileLock[] {
  const key = keyOf(fd);
  if (key === null) return [];
  return lines('/proc/locks').flatMap((line) => {
    const [, kind, access, owner, file] = LOCK.exec(line) ?? [];
    if (file !== key || Number(owner) === process.pid) return [];
    const pid = Number(owner);
    return [{ kind: kind!, access: access as FileLock['access'], pid: pid > 0 ? pid : undefined }];
  });
}

/**
 * Returns a file's key in the list: the device of its mount, in hexadecimal, and its inode. `fstat` returns another
 * device on some file systems (btrfs).
 */
function keyOf(fd: number): string | null {
  const info = lines(`/proc/self/fdinfo/${fd}`);
  const field = (name: string) => info.find((line) => line.startsWith(`${name}:`))?.split(/\s+/)[1];
  const mount = field('mnt_id');
  // Older kernels do not list the inode there.
  const inode = field('ino') ?? String(fstatSync(fd, { bigint: true }).ino);
  const device = lines('/proc/self/mountinfo')
    .map((line) => line.split(' '))
    .find(([id]) => id === mount)?.[2];
  if (device === undefined) return null;
  const words = device.split(':').map((word) => Number(word).toString(16).padStart(2, '0'));
  return `${words.join(':')}:${inode}`;
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return []; // not Linux, or /proc is not readable
  }
}
