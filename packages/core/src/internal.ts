/**
 * The exports of `qcow2/internal`, which `qcow2-opfs` of the same version uses. They are private and change without
 * notice.
 */

export { onAbort } from './engine/async/on-abort.js';
export { progressOf } from './engine/async/progress.js';
export { releaseBuffer } from './engine/async/release-buffer.js';
export { fixedView, isBytes, lengthOf, put, requireBuffers, requireIntact } from './engine/async/request-buffers.js';
export { yieldToEventLoop } from './engine/async/yield-to-event-loop.js';
export { readHeader } from './engine/layer/metadata.js';
export { boundsOf, requireInside } from './engine/mapping/guest-range.js';
export { reasonOf } from './errors.js';
export { blobFailure, changedBlob, requireEmpty } from './sources/blob-failure.js';
export { BatchIterator } from './verbs/batch-iterator.js';
export { imageSummary } from './verbs/image-summary.js';
export { backingNameIn, readBackingName } from './verbs/named-files.js';
export { revisionOf } from './verbs/revision.js';
export { isLoss, LostRanges } from './verbs/salvage/lost-ranges.js';
export { writableOf } from './verbs/writable.js';
