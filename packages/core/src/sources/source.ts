/** Checks that a caller's source is one. */
import { requireKind, requireWhole } from '../arguments.js';

/** @throws TypeError when a value has no methods of a source; RangeError when it has no size */
export function requireSource(source: unknown): void {
  requireKind('source', source, 'an object');
  const { read, size } = source as { readonly read?: unknown; readonly size?: unknown };
  requireKind('source.read', read, 'a function');
  requireWhole('source.size', size);
}
