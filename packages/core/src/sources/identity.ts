/** Decides whether two things that a caller handed over are one file. */
import type { Openable } from '../api/openable.js';
import { isByteSource, isUrl } from './openable.js';

/** What a file is known by: its address, the `identity` of a source that has one, else the object itself. */
export function identityOf(openable: Openable): object | string {
  if (isUrl(openable)) return openable.href;
  return (isByteSource(openable) ? openable.identity : undefined) ?? openable;
}
