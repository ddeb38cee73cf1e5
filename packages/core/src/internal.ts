/**
 * The exports of `qcow2/internal`, which `qcow2-opfs` of the same version uses. They are private and change without
 * notice.
 */

export { refuse, requireKind, requireOptions, requireWhole, shown } from './arguments.js';
export { requireOneOf } from './choices.js';
export { onAbort } from './engine/async/on-abort.js';
export { progressOf } from './engine/async/progress.js';
export { releaseBuffer } from './engine/async/release-buffer.js';
export {
  fixedTransfers,
  isBytes,
  lengthOf,
  put,
  requireBuffers,
  requireIntact,
} from './engine/async/request-buffers.js';
export { yieldToEventLoop } from './engine/async/yield-to-event-loop.js';
export { readHeader } from './engine/layer/metadata.js';
export { boundsOf, requireInside } from './engine/mapping/guest-range.js';
export { reasonOf } from './errors.js';
export { blobFailure, changedBlob, requireEmpty } from './sources/blob-failure.js';
export { httpPolicy } from './sources/http-options.js';
export { BatchIterator } from './verbs/batch-iterator.js';
export { planOf } from './verbs/create/create-plan.js';
export { imageSummary } from './verbs/image-summary.js';
export { backingNameIn, readBackingName } from './verbs/named-files.js';
export { checkedBudgets } from './verbs/open/open-options.js';
export { revisionOf } from './verbs/revision.js';
export { isLoss, LostRanges } from './verbs/salvage/lost-ranges.js';
export {
  requireAutoCompact,
  requireDigest,
  requireReference,
  requireRepair,
  requireResize,
  requireSnapshot,
  requireSnapshotName,
  requireZeroing,
} from './verbs/verb-arguments.js';
export { startIn, writableOf } from './verbs/writable.js';
