/** Types of what can be opened as an image, and of the files that an image names. */
import type { ByteSource } from './device.js';

/**
 * What can be opened as an image; turned into a {@link ByteSource} at the edge. A `File` is a `Blob`. A `URL` is
 * fetched as by {@link httpSource} with its defaults. What is no `ByteSource` yet is closed with the image.
 */
export type Openable = ByteSource | Blob | URL | ArrayBuffer | Uint8Array;

/** Another file that an image names, and where it stands in the chain. */
export interface ImageReference {
  readonly kind: 'backing' | 'data';
  /**
   * As written in the image: relative to the file that names it, so walk `parent` to resolve it. A byte that is no
   * UTF-8 is the lone surrogate U+DC00 + byte, and the name then no string that a file system takes. It may be an
   * address, or describe a file with options (`json:`) that change what is read: `baseName` of `qcow2-opfs` tells them
   * apart.
   */
  readonly name: string;
  /** The format the image gives for it, if it gives one. */
  readonly format?: string | undefined;
  /** Whether the file will be written to. */
  readonly writable: boolean;
  /** The reference that led to the file which names this one; absent when the opened image names it. */
  readonly parent?: ImageReference | undefined;
  /** 1 for a file that the opened image names, 2 for one that such a file names, and so on. */
  readonly depth: number;
}

/** What a resolver returns: the file, the file and its format, or undefined to refuse it. */
export type Resolved = Openable | { source: Openable; format: 'raw' | 'qcow2' } | undefined;
