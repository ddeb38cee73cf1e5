/**
 * What `qcow2-opfs` of the same version shares with the engine, as `qcow2/internal`: not for anybody else, and changed without
 * notice. Defines nothing.
 */
export { readBackingName } from './io/backing-name.js';
export { onAbort } from './io/on-abort.js';
export { progressOf } from './io/progress.js';
export { discardBuffer } from './io/spent-buffer.js';
export { turns } from './io/turns.js';
export { boundsOf } from './map/guest-range.js';
export { writableOf } from './verbs/writable.js';
