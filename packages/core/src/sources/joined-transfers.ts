/** Joins the transfers of a batch that are adjacent in a file. */
import type { FixedTransfer } from '../engine/async/request-buffers.js';

/** Adjacent transfers, in file order, each cut at the end of the file. */
export interface JoinedTransfer {
  readonly at: number;
  length: number;
  readonly parts: FixedTransfer[];
}

/** Joins adjacent transfers. Cuts them at the end of the file and fills the bytes past it with zeros. */
export function joinAdjacent(transfers: readonly FixedTransfer[], size: number): JoinedTransfer[] {
  const sorted = [...transfers].sort((a, b) => a.at - b.at);
  const found: JoinedTransfer[] = [];
  for (const { at, bytes, length: whole } of sorted) {
    const length = Math.max(0, Math.min(whole, size - at));
    bytes.fill(0, length);
    if (length === 0) continue;
    const part = { at, bytes, length };
    const last = found.at(-1);
    if (last !== undefined && last.at + last.length === at) {
      last.parts.push(part);
      last.length += length;
    } else {
      found.push({ at, length, parts: [part] });
    }
  }
  return found;
}
