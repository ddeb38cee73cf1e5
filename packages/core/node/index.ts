/** The public exports of `qcow2/node`. */
export { type FileDeviceOptions, fileDevice } from './file-device.js';
export { fileSource } from './file-source.js';
export { nodeHash } from './node-hash.js';
