/// <reference lib="esnext.disposable" preserve="true" />
/** The public face of the package; defines nothing. */
export { openStore } from './page/modular-store.js';
export * from './public.js';
