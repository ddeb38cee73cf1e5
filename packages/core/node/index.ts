/** The public face of `qcow2/node`; defines nothing. */
export { fileSource } from './file-source.js';
