/// <reference lib="esnext.disposable" preserve="true" />
/** The public exports of the package. Defines nothing itself. */
export { openStore } from './page/modular-store.js';
export * from './public.js';
