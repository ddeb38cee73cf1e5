/**
 * The exports of `qcow2/internal`, which `qcow2-opfs` of the same version uses. They are private and change without
 * notice.
 */

export { onAbort } from './engine/async/on-abort.js';
export { progressOf } from './engine/async/progress.js';
export { releaseBuffer } from './engine/async/release-buffer.js';
export { fixedView, isBytes, lengthOf, put, requireBuffers, requireIntact } from './engine/async/request-buffers.js';
export { turns } from './engine/async/yield-to-event-loop.js';
export { boundsOf } from './engine/mapping/guest-range.js';
export { reasonOf } from './errors.js';
export { blobFailure, changedBlob } from './sources/blob-failure.js';
export { readBackingName } from './verbs/backing-name.js';
export { BatchIterator } from './verbs/batch-iterator.js';
export { writableOf } from './verbs/writable.js';
