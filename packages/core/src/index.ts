/// <reference lib="esnext.disposable" preserve="true" />
/** The public face of the package; defines nothing. */
export { isQcow2Error, Qcow2Error, type Qcow2ErrorCode, type Qcow2ErrorDetails } from './errors.js';
