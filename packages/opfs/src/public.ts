/** The exports that both entries of the package share, beside their `openStore`. Defines nothing itself. */

export type { StoreOptions } from './page/open-store.js';
export type { WriteOptions } from './page/outgoing-bytes.js';
export type { Store } from './page/store.js';
export type { TemporaryExport } from './page/temporary-export.js';
export type { ExportFileOptions, TemporaryExportOptions, WorkerImage } from './page/worker-image.js';
export { baseName, type NamedFile, namedFile } from './protocol/base-name.js';
export type {
  FileOpenOptions,
  RemoteFile,
  StoreCreateOptions,
  StoreOpenOptions,
  StoreResolved,
} from './protocol/remote-file.js';
export type {
  Persistence,
  StoredImage,
  StoredImageError,
  StoreEstimate,
  StoreExportOptions,
  StoreTemporaryExportOptions,
} from './protocol/stored-image.js';
