/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The public exports of the package with the worker's script embedded, for pages that cannot serve that script. Defines
 * nothing itself.
 */
export { openStore } from './page/inline-store.js';
export * from './public.js';
