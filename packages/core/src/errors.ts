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
  /** The name is taken, or the device on which an image is to be created is not empty. */
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
export interface Qcow2ErrorPlace {
  /** The structure, in the specification's words: `'L2 table 7'`, `'header'`. */
  readonly what?: string | undefined;
  /** Its offset in the file that holds it, in bytes; of a request, the offset in the disk. */
  readonly at?: number | undefined;
  /** Which file of the backing chain it was found in, when it was not the image itself: 1 for its backing file. */
  readonly layer?: number | undefined;
  /** Further figures and names, by name. */
  readonly [key: string]: string | number | boolean | readonly string[] | undefined;
}

/** What the details of an error hold beside its place, by its code. */
export interface Qcow2ErrorDetailsByCode {
  'not-qcow2': { readonly found?: string | undefined };
  unsupported: { readonly url?: string | undefined };
  corrupt: {
    /** Guest offset of the cluster concerned, bytes. */
    readonly guest?: number | undefined;
    /** Length of the file, bytes. */
    readonly fileSize?: number | undefined;
    /** The two parts that one file would have. */
    readonly roles?: readonly string[] | undefined;
  };
  'out-of-range': {
    /** Length of the request, bytes. */
    readonly length: number;
    /** Size of the disk, bytes. */
    readonly size: number;
  };
  'needs-repair': {
    /** The incompatible feature bit: 0 for dirty, 1 for corrupt. */
    readonly bit: number;
  };
  'reference-refused': {
    /** The name of the file, as written in the image. */
    readonly name: string;
    /** Where it stands in the chain; 1 for a file that the opened image names. */
    readonly depth: number;
  };
  'not-found': {
    readonly name?: string | undefined;
    readonly url?: string | undefined;
    /** The HTTP status. */
    readonly status?: number | undefined;
  };
  exists: {
    readonly name?: string | undefined;
    /** What the device holds, bytes. */
    readonly size?: number | undefined;
  };
  locked: {
    readonly name?: string | undefined;
    /** The stored images that are based on this one. */
    readonly overlays?: readonly string[] | undefined;
  };
  'no-space': {
    /** Bytes. */
    readonly needed?: number | undefined;
    /** Bytes. */
    readonly available?: number | undefined;
  };
  io: {
    readonly url?: string | undefined;
    /** The HTTP status. */
    readonly status?: number | undefined;
  };
}

/** The details of an error that carries the code `Code`. */
export type Qcow2ErrorDetails<Code extends Qcow2ErrorCode = Qcow2ErrorCode> = Qcow2ErrorPlace &
  (Code extends keyof Qcow2ErrorDetailsByCode ? Qcow2ErrorDetailsByCode[Code] : unknown);

/**
 * The error of everything that is wrong with an image, a file or a device. A caller's own mistake is a `TypeError` or
 * a `RangeError` instead, and an abort throws `signal.reason` untouched.
 */
export class Qcow2Error<Code extends Qcow2ErrorCode = Qcow2ErrorCode> extends Error {
  override readonly name = 'Qcow2Error';
  readonly code: Code;
  readonly details: Qcow2ErrorDetails<Code>;

  constructor(
    code: Code,
    message: string,
    details: Qcow2ErrorDetails<Code> = {} as Qcow2ErrorDetails<Code>,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** A {@link Qcow2Error} with one of the codes: comparing `code` narrows `details`. */
export type Qcow2ErrorOf<Code extends Qcow2ErrorCode> = { [Each in Code]: Qcow2Error<Each> }[Code];

/**
 * Whether `error` is a {@link Qcow2Error}, and, when codes are given, carries one of them. Tests name and code rather
 * than the class, since a class does not survive the way out of a worker or a second copy of the package.
 *
 * @example
 * ```ts
 * import { isQcow2Error, Qcow2Image } from 'qcow2';
 *
 * try {
 *   await Qcow2Image.open(file);
 * } catch (error) {
 *   if (!isQcow2Error(error, 'not-qcow2', 'corrupt')) throw error;
 *   console.log(error.code, error.message, error.details.at);
 * }
 * ```
 */
export function isQcow2Error<Code extends Qcow2ErrorCode = Qcow2ErrorCode>(
  error: unknown,
  ...codes: Code[]
): error is Qcow2ErrorOf<Code> {
  if (typeof error !== 'object' || error === null) return false;
  const { name, code } = error as { name?: unknown; code?: unknown };
  if (name !== 'Qcow2Error' || typeof code !== 'string') return false;
  return codes.length === 0 || codes.includes(code as Code);
}

/**
 * What an error says, or anything else that was thrown. Errors of another realm are no instances of this one's `Error`.
 */
export function reasonOf(thrown: unknown): string {
  const message = (thrown as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : String(thrown);
}
