/** Defines the library's error class, its closed set of codes, and its type guard. */

/** Every code of a {@link Qcow2Error}; the set is closed. */
export type Qcow2ErrorCode =
  /** The file is not a qcow2 image. The message names its format when that is recognised. */
  | 'not-qcow2'
  /** The image is valid, but needs a feature, a size or a codec that this library does not support. */
  | 'unsupported'
  /**
   * A structure of the image contradicts the specification, the file's length or another structure, or one file is used
   * as two files of the image.
   */
  | 'corrupt'
  /** A request lies outside the virtual disk. */
  | 'out-of-range'
  /** A write to an image that was opened for reading. */
  | 'read-only'
  /** The image, the device or the store was closed. */
  | 'closed'
  /** The worker or the device failed. The handle cannot be used any more. */
  | 'failed'
  /** The image is marked dirty or corrupt and was opened for writing. */
  | 'needs-repair'
  /** The read needs another file named in the image, which the caller did not provide. */
  | 'reference-refused'
  /** The passphrase does not open the encrypted image. */
  | 'wrong-passphrase'
  /** There is no such image, snapshot or bitmap. */
  | 'not-found'
  /** Several snapshots fit what was given: one by its id, another by its name, or several by their name. */
  | 'ambiguous'
  /** The name is taken, or the device on which an image is to be created is not empty. */
  | 'exists'
  /** Another tab, worker, process or image uses the file. */
  | 'locked'
  /** The platform refuses the storage, as private windows do. */
  | 'unavailable'
  /** A synchronous call would have to wait. */
  | 'not-synchronous'
  /** The file changed while it was being read. */
  | 'changed'
  /** The storage is full or the quota is exceeded. */
  | 'no-space'
  /** The device or the file could not be read or written. */
  | 'io';

/** Where an error was found: the structure, its offset in bytes, and further details. Structured-cloneable. */
export interface Qcow2ErrorPlace {
  /** The structure, in the specification's words: `'L2 table 7'`, `'header'`. */
  readonly what?: string | undefined;
  /** Its offset in its file, in bytes; for a request, the offset in the disk. */
  readonly at?: number | undefined;
  /** Depth of the file in the backing chain: 1 for the backing file. Absent for the image itself. */
  readonly layer?: number | undefined;
  /** Further details, by name. */
  readonly [key: string]: string | number | boolean | readonly string[] | undefined;
}

/** The details of an error in addition to its place, by code. */
export interface Qcow2ErrorDetailsByCode {
  'not-qcow2': { readonly found?: string | undefined };
  unsupported: { readonly url?: string | undefined };
  corrupt: {
    /** Guest offset of the cluster, bytes. */
    readonly guest?: number | undefined;
    /** Length of the file, bytes. */
    readonly fileSize?: number | undefined;
    /** The two roles of the file in the chain. */
    readonly roles?: readonly string[] | undefined;
  };
  'out-of-range': {
    /** Length of the request, bytes. */
    readonly length: number;
    /** Size of the disk, bytes. */
    readonly size: number;
  };
  'needs-repair': {
    /** The incompatible feature bit: 0 for dirty, 1 for corrupt; absent when a check has found the fault. */
    readonly bit?: number | undefined;
  };
  'reference-refused': {
    /** The name of the file, as written in the image. */
    readonly name: string;
    /** Its depth in the chain; 1 for a file named in the opened image. */
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
    /** Current size of the device, bytes. */
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

/** The details of an error with the code `Code`. */
export type Qcow2ErrorDetails<Code extends Qcow2ErrorCode = Qcow2ErrorCode> = Qcow2ErrorPlace &
  (Code extends keyof Qcow2ErrorDetailsByCode ? Qcow2ErrorDetailsByCode[Code] : unknown);

/**
 * The error for everything that is wrong with an image, a file or a device. Invalid arguments throw a `TypeError` or a
 * `RangeError` instead, and an abort throws `signal.reason` unchanged.
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
 * True if `error` is a {@link Qcow2Error} and, when codes are given, has one of them. It tests `name` and `code`
 * instead of the class: the class differs after structured cloning or with a second copy of the package.
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
 * Returns the message of an error, or a thrown value as a string. Does not use `instanceof`, since errors of another
 * realm are not instances of this realm's `Error`.
 */
export function reasonOf(thrown: unknown): string {
  const message = (thrown as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : String(thrown);
}
