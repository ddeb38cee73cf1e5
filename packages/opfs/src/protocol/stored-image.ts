/** The plain values that describe a store and its images, and the options of the store's verbs. */
import type { ImageSummary, Qcow2ErrorCode, SalvageOptions } from 'qcow2';

/**
 * Where a store keeps its images. `'persistent'` storage is deleted only by the user, `'best-effort'` storage also by
 * the browser when space runs short, and `'memory'` when the store is closed.
 */
export type Persistence = 'persistent' | 'best-effort' | 'memory';

/** An image in a store, as `list` and `stat` describe it. Plain and structured-cloneable. */
export interface StoredImage {
  readonly name: string;
  /** Length of the file, bytes; the size of the disk is `info.virtualSize`. */
  readonly fileSize: number;
  /** Time of the last write to the file: milliseconds since the epoch. */
  readonly lastModified: number;
  /**
   * Fields of the image's header. No table is read, so an image with damaged tables has `info`, and opening it throws.
   * Undefined when the header is invalid, or the image is being changed.
   */
  readonly info?: ImageSummary | undefined;
  /**
   * Why there is no `info`: `locked` while the image is being changed, else the error of reading its header. Undefined
   * when there is `info`.
   */
  readonly error?: StoredImageError | undefined;
  /**
   * The images of this store that are directly based on this one, sorted. While there are any, it cannot be renamed or
   * removed.
   */
  readonly overlays: readonly string[];
}

/** Why an image in a store cannot be opened. */
export interface StoredImageError {
  readonly code: Qcow2ErrorCode;
  readonly message: string;
}

/** Options of an export from a store. `salvage` needs the format `'raw'`. */
export interface StoreExportOptions extends SalvageOptions {
  /** `'raw'`: the disk as the guest sees it. `'qcow2'`: the image's file unchanged. */
  format: 'raw' | 'qcow2';
  /** The file to write: from `showSaveFilePicker`, or in OPFS. Without it a stream is returned. */
  to?: FileSystemFileHandle | undefined;
}

/** Options of a temporary export from a store. */
export type StoreTemporaryExportOptions = Omit<StoreExportOptions, 'to'>;

/** Usage and quota of a store, bytes. */
export interface StoreEstimate {
  /**
   * Usage of this origin. For a store in memory, and where the browser reports none, the total length of its images.
   */
  readonly usage: number;
  /** The quota that the browser reports for this origin, which is approximate; else `Infinity`. */
  readonly quota: number;
}
