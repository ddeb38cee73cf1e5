/** The plain values that describe a store and the images in it, and the options of its verbs. */
import type { ImageSummary, OperationOptions, Qcow2ErrorCode } from 'qcow2';

/**
 * Where a store's images live: `'persistent'` storage goes only when the person clears it, `'best-effort'` storage also
 * when the browser runs short of space, and `'memory'` with the store.
 */
export type Persistence = 'persistent' | 'best-effort' | 'memory';

/** An image in a store, as `list` and `stat` describe it. Plain and structured-cloneable. */
export interface StoredImage {
  readonly name: string;
  /** Length of the file, bytes; the size of the disk is `info.virtualSize`. */
  readonly fileSize: number;
  /** When the file was last written: milliseconds since the epoch. */
  readonly lastModified: number;
  /**
   * What the image's header says of it. No table is read, so that an image whose tables are damaged has its `info`, and
   * opening it throws. Undefined when the header is wrong, or the image is being changed.
   */
  readonly info?: ImageSummary | undefined;
  /**
   * Why there is no `info`: `locked` while the image is being changed, else what reading its header throws. Undefined
   * when there is one.
   */
  readonly error?: StoredImageError | undefined;
  /**
   * The images of this store that are directly based on this one, sorted. While there are any it is not renamed or
   * removed.
   */
  readonly overlays: readonly string[];
}

/** Why an image in a store cannot be opened. */
export interface StoredImageError {
  readonly code: Qcow2ErrorCode;
  readonly message: string;
}

/** What an export from a store takes. */
export interface StoreExportOptions extends OperationOptions {
  /** `'raw'` is the disk as the guest sees it, `'qcow2'` the image's file as it is. */
  format: 'raw' | 'qcow2';
  /**
   * The file to fill: one that a person chose with `showSaveFilePicker`, or one in OPFS. Without it a stream is
   * returned.
   */
  to?: FileSystemFileHandle | undefined;
}

/** What a temporary export from a store takes. */
export type StoreTemporaryExportOptions = Omit<StoreExportOptions, 'to'>;

/** What a store may hold and holds, bytes. */
export interface StoreEstimate {
  /**
   * What this origin uses; for a store in memory, and where the browser does not say, the bytes that its images are
   * long.
   */
  readonly usage: number;
  /** What the browser says that this origin may use, a hint and no promise; else `Infinity`. */
  readonly quota: number;
}
