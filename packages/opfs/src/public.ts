/** What both entries of the package export beside their openStore; defines nothing. */
export { baseName, type NamedFile, namedFile } from './base-name.js';
export type { StoreOptions } from './open-store.js';
export type { ExportFileOptions, OpfsImage, SpoolOptions } from './opfs-image.js';
export type { WriteOptions } from './outgoing-bytes.js';
export type { RemoteFile, StoreCreateOptions, StoreOpenOptions, StoreResolved } from './remote-file.js';
export type { Spool } from './spool.js';
export type { Store } from './store.js';
export type {
  Persistence,
  StoredImage,
  StoredImageError,
  StoreEstimate,
  StoreExportOptions,
  StoreSpoolOptions,
} from './stored-image.js';
