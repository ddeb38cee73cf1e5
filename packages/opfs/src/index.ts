/// <reference lib="esnext.disposable" preserve="true" />
/** The public face of the package; defines nothing. */
export type { ExportFileOptions, OpfsImage, Spool, SpoolOptions } from './opfs-image.js';
export { openStore, type Store, type StoreOptions } from './store.js';
export type { Persistence, StoredImage, StoredImageError, StoreEstimate, StoreExportOptions } from './stored-image.js';
