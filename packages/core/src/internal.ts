/**
 * What `qcow2-opfs` of the same version shares with the engine, as `qcow2/internal`: not for anybody else, and changed without
 * notice. Defines nothing.
 */
export { reasonOf } from './errors.js';
export { readBackingName } from './io/backing-name.js';
export { onAbort } from './io/on-abort.js';
export { progressOf } from './io/progress.js';
export { fixedView, isBytes, lengthOf, put, requireBuffers, requireIntact } from './io/request-buffers.js';
export { discardBuffer } from './io/spent-buffer.js';
export { turns } from './io/turns.js';
export { boundsOf } from './map/guest-range.js';
export { blobFailure, changedBlob } from './sources/blob-failure.js';
export { BatchIterator } from './verbs/batch-iterator.js';
export { writableOf } from './verbs/writable.js';
