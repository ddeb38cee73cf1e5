/** The public face of `qcow2/node`; defines nothing. */
export { type FileDeviceOptions, fileDevice } from './file-device.js';
export { fileSource } from './file-source.js';
