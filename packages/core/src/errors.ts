/** Owns the one error class of the library, its closed set of codes, and the guard that recognises it. */

/** Every code that a {@link Qcow2Error} can carry; the set is closed. */
export type Qcow2ErrorCode =
  /** The file is not a qcow2 image; the message says what it is when that is known. */
  | 'not-qcow2'
  /** Valid, but needs a feature, a size or a codec that this library does not have. */
  | 'unsupported'
  /**
   * A structure of the image contradicts the specification, the file's length or another structure, or one file would
   * be two of the image's files.
   */
  | 'corrupt'
  /** A request lies outside the virtual disk. */
  | 'out-of-range'
  /** A write was asked of an image that was opened for reading. */
  | 'read-only'
  /** The image, the device or the store was closed. */
  | 'closed'
  /** The worker or the device failed; nothing more can be done with this handle. */
  | 'failed'
  /** The image is marked dirty or corrupt and was opened for writing. */
  | 'needs-repair'
  /** The read needs another file that the image names and that the caller did not hand over. */
  | 'reference-refused'
  /** The passphrase does not open the encrypted image. */
  | 'wrong-passphrase'
  /** No such image, snapshot or bitmap. */
  | 'not-found'
  /** The name is taken. */
  | 'exists'
  /** Another tab, worker, process or image holds the file. */
  | 'locked'
  /** The platform refuses the storage, as private windows do. */
  | 'unavailable'
  /** A synchronous call would have had to wait. */
  | 'not-synchronous'
  /** The file changed while it was being read. */
  | 'changed'
  /** The storage or the quota is spent. */
  | 'no-space'
  /** The device or the file could not be read or written. */
  | 'io';

/** Where an error was found: the structure, its offset in bytes, and whatever else places it. Structured-cloneable. */
export interface Qcow2ErrorDetails {
  /** The structure, in the specification's words: `'L2 table 7'`, `'header'`. */
  readonly what?: string | undefined;
  /** Its offset in the file that holds it, in bytes. */
  readonly at?: number | undefined;
  /** Further figures and names, by name. */
  readonly [key: string]: string | number | boolean | readonly string[] | null | undefined;
}

/**
 * The error of everything that is wrong with an image, a file or a device. A caller's own mistake is a `TypeError` or
 * a `RangeError` instead, and an abort throws `signal.reason` untouched.
 */
export class Qcow2Error extends Error {
  override readonly name = 'Qcow2Error';
  readonly code: Qcow2ErrorCode;
  readonly details: Qcow2ErrorDetails;

  constructor(code: Qcow2ErrorCode, message: string, details: Qcow2ErrorDetails = {}, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/**
 * Whether `error` is a {@link Qcow2Error}, and, when codes are given, carries one of them. Tests name and code rather
 * than the class, since a class does not survive the way out of a worker or a second copy of the package.
 */
export function isQcow2Error(error: unknown, ...codes: Qcow2ErrorCode[]): error is Qcow2Error {
  if (typeof error !== 'object' || error === null) return false;
  const { name, code } = error as { name?: unknown; code?: unknown };
  if (name !== 'Qcow2Error' || typeof code !== 'string') return false;
  return codes.length === 0 || codes.includes(code as Qcow2ErrorCode);
}

/**
 * What an error says, or anything else that was thrown. Errors of another realm are no instances of this one's `Error`.
 */
export function reasonOf(thrown: unknown): string {
  const message = (thrown as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : String(thrown);
}
