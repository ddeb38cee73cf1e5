/** Determines the identity of a file that a caller provided. */
import type { Openable } from '../api/openable.js';
import { isByteSource, isUrl } from './openable.js';

/** Returns the identity of a file: its URL, the `identity` of a source that has one, else the object itself. */
export function identityOf(openable: Openable): object | string {
  if (isUrl(openable)) return openable.href;
  return (isByteSource(openable) ? openable.identity : undefined) ?? openable;
}
