/** The types that can be opened as an image, and the references to other files in an image. */
import type { ByteSource } from './device.js';

/**
 * What can be opened as an image. It is converted to a {@link ByteSource}. A `File` is a `Blob`. A `URL` is opened with
 * {@link httpSource} and its defaults. A source made by this conversion is closed with the image; a {@link ByteSource}
 * that is passed to `open` is not, since it is the caller's.
 */
export type Openable = ByteSource | Blob | URL | ArrayBuffer | Uint8Array;

/** A reference to another file in an image, and its position in the chain. */
export interface ImageReference {
  readonly kind: 'backing' | 'data';
  /**
   * As written in the image: relative to the file that contains it, so follow `parent` to resolve it. A byte that is
   * not UTF-8 is the lone surrogate U+DC00 + byte; such a name is not a valid path. It may be a URL, or a `json:`
   * description with options that change what is read: `baseName` of `qcow2-opfs` distinguishes them.
   */
  readonly name: string;
  /** The format that the image contains for it, if any. */
  readonly format?: string | undefined;
  /** True if the file will be written to. */
  readonly writable: boolean;
  /** The reference to the file in which this reference is; absent when it is in the opened image. */
  readonly parent?: ImageReference | undefined;
  /** 1 for a file named in the opened image, 2 for one named in such a file, and so on. */
  readonly depth: number;
}

/**
 * The result of `resolve`: the file, the file and its format, or undefined to refuse it. A {@link ByteSource} is closed
 * with the image.
 */
export type Resolved = Openable | { source: Openable; format: 'raw' | 'qcow2' } | undefined;
