/// <reference lib="esnext.disposable" preserve="true" />
/** The public exports of the package. */

export type {
  CheckOptions,
  CheckReport,
  Fault,
  Finding,
  FindingPlace,
  Impact,
  Reference,
} from './api/check-report.js';
export type { BlockDevice, ByteSource, Done, Transfer } from './api/device.js';
export type { Disk, ReadOptions, WritableOptions, WriteZeroesOptions } from './api/disk.js';
export type { DigestOptions, Hash, HashAlgorithm } from './api/hash.js';
export type {
  BitmapInfo,
  CompactReport,
  ExtensionInfo,
  FeatureInfo,
  HeaderInfo,
  ImageInfo,
  ImageStats,
  ImageSummary,
  LayerInfo,
  SnapshotInfo,
  SpaceStats,
  SparsifyReport,
} from './api/info.js';
export type { ImageReference, Openable, Resolved } from './api/openable.js';
export type {
  AutoCompactOptions,
  CreateOptions,
  CreateSnapshotOptions,
  DehydrateOptions,
  MapOptions,
  OpenOptions,
  OperationOptions,
  Progress,
  ResizeOptions,
  SalvageOptions,
} from './api/options.js';
export type { Extent, LostRange, Range } from './api/range.js';
export type {
  CopiedRange,
  DroppedStructure,
  Repair,
  RepairAction,
  RepairLoss,
  RepairOptions,
  RepairReport,
} from './api/repair-report.js';
export type { SnapshotReference } from './api/snapshot-reference.js';
export type { SnapshotUsage, Usage } from './api/usage.js';
export {
  isQcow2Error,
  Qcow2Error,
  type Qcow2ErrorCode,
  type Qcow2ErrorDetails,
  type Qcow2ErrorDetailsByCode,
  type Qcow2ErrorOf,
  type Qcow2ErrorPlace,
} from './errors.js';
export type { LuksInfo, LuksSlotInfo } from './format/luks.js';
export { Qcow2Image } from './image.js';
export { type AsyncBuffer, asyncBufferSource } from './sources/async-buffer.js';
export { blobSource } from './sources/blob.js';
export { bufferSource } from './sources/buffer.js';
export { type BufferDevice, bufferDevice } from './sources/buffer-device.js';
export { httpSource } from './sources/http.js';
export type { HttpSourceOptions } from './sources/http-options.js';
export { type PmtilesSource, pmtilesSource } from './sources/pmtiles.js';
export { type CacheOptions, withCache } from './sources/with-cache.js';
export { type CoalescingOptions, withCoalescing } from './sources/with-coalescing.js';
export { rehydrate } from './verbs/dehydrate/rehydrate.js';
