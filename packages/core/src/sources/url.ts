/**
 * Opens the file at a URL. A module of its own, which is imported dynamically alone: bundlers warn of a dynamic import
 * of a module that is also imported statically, as `http.ts` is by its users.
 */
import type { ByteSource } from '../api/device.js';
import { httpSource } from './http.js';

/** The source of a file on a web server. Throws what {@link httpSource} throws. */
export function urlSource(url: URL, signal: AbortSignal | undefined): Promise<ByteSource> {
  return httpSource(url, { signal });
}
