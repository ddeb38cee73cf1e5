/**
 * Decodes and describes the tables that only some images have: feature names, snapshots, bitmaps. Loaded where there
 * are any.
 */
export { decodeBitmaps } from '../../format/bitmaps.js';
export { decodeFeatureNames } from '../../format/feature-names.js';
export { bitmapDirectory } from './bitmap-directory.js';
export { continueSnapshotTable } from './snapshot-table.js';
export { bitmapInfos, snapshotInfos } from './table-info.js';
