/// <reference lib="esnext.disposable" preserve="true" />
/** The public face of the package; defines nothing. */
export type { ExportFileOptions, OpfsImage, SpoolOptions } from './opfs-image.js';
export type { Spool } from './spool.js';
export { openStore, type Store, type StoreOptions } from './store.js';
export type {
  Persistence,
  StoredImage,
  StoredImageError,
  StoreEstimate,
  StoreExportOptions,
  StoreSpoolOptions,
} from './stored-image.js';
