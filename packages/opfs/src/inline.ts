/// <reference lib="esnext.disposable" preserve="true" />
/** The public face of the package with the worker in it, for pages that cannot give out its script; defines nothing. */
export { openStore } from './page/inline-store.js';
export * from './public.js';
