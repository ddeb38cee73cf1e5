/** The public face of `qcow2/node`; defines nothing. */
export { fileDevice } from './file-device.js';
export { fileSource } from './file-source.js';
