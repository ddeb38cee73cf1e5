/**
 * A decorator that joins adjacent and nearby transfers of a batch, for sources where a request costs more than its
 * bytes. It caches nothing.
 */
import type { ByteSource, Done, Transfer } from '../api/device.js';
import { requireOptions, requireWhole } from '../arguments.js';
import { fixedTransfers, hasBytes, put, requireAllIntact } from '../engine/async/request-buffers.js';
import { requireSource } from './source.js';

/** Default gap: at 10 MB/s these bytes take 7 ms, less than a request. */
const DEFAULT_GAP = 64 * 1024;
/** Default maximum: a larger request has no higher throughput, and a retry costs more. */
const DEFAULT_LONGEST = 4 * 1024 * 1024;
/** Maximum memory of a batch in addition to the caller's buffers, bytes. */
const MAX_EXTRA_BYTES = 32 * 1024 * 1024;

/** Options of joining transfers. */
export interface CoalescingOptions {
  /** Maximum gap between two joined transfers, bytes; its bytes are fetched and discarded. Default 64 KiB. */
  gap?: number | undefined;
  /** Maximum transfer, bytes; longer ones are split. Default 4 MiB. */
  longest?: number | undefined;
}

/** A joined transfer, and the buffers to fill from it, each with its offset from `at`. */
export interface JoinedTransfer {
  readonly at: number;
  length: number;
  readonly parts: { readonly from: number; readonly length: number; readonly bytes: Uint8Array }[];
}

/**
 * Creates a source that joins short transfers of a batch into few long reads of `source`.
 *
 * @throws TypeError for a source that is none; RangeError for options that are not valid numbers of bytes
 *
 * @example
 * ```ts
 * import { withCoalescing } from 'qcow2';
 *
 * const joined = withCoalescing(source, { gap: 4096 });
 * await joined.read([
 *   { at: 0, bytes: new Uint8Array(512) },
 *   { at: 1024, bytes: new Uint8Array(512) }, // one request to `source`, of 1536 bytes
 * ]);
 * ```
 */
export function withCoalescing(source: ByteSource, options: CoalescingOptions = {}): ByteSource {
  requireSource(source);
  requireOptions(options);
  const { gap = DEFAULT_GAP, longest = DEFAULT_LONGEST } = options;
  requireWhole('gap', gap);
  requireWhole('longest', longest, 1);
  return {
    get size() {
      return source.size;
    },
    identity: source.identity ?? source,
    async read(transfers, signal) {
      const batch = fixedTransfers(transfers);
      try {
        await readJoined(source, joinTransfers(batch, source.size, gap, longest), signal);
      } finally {
        if (!signal?.aborted) requireAllIntact(batch);
      }
    },
    close: (): Done => source.close?.(),
  };
}

/** Plans the joined transfers of a batch. Bytes past the end, `size`, are filled with zeros here. */
export function joinTransfers(
  transfers: readonly Transfer[],
  size: number,
  gap: number,
  longest: number,
): JoinedTransfer[] {
  const joined: JoinedTransfer[] = [];
  for (const { at, bytes } of splitTransfers(transfers, size, longest)) {
    const last = joined.at(-1);
    const length = last === undefined ? 0 : Math.max(last.length, at + bytes.length - last.at);
    if (last !== undefined && at - (last.at + last.length) <= gap && length <= longest) {
      last.parts.push({ from: at - last.at, length: bytes.length, bytes });
      last.length = length;
    } else {
      joined.push({ at, length: bytes.length, parts: [{ from: 0, length: bytes.length, bytes }] });
    }
  }
  return joined;
}

/** Returns the transfers in order, split so that none is empty or longer than `longest`. */
function splitTransfers(transfers: readonly Transfer[], size: number, longest: number): Transfer[] {
  const found: Transfer[] = [];
  for (const { at, bytes } of transfers) {
    const length = Math.max(0, Math.min(bytes.length, size - at));
    bytes.fill(0, length);
    for (let from = 0; from < length; from += longest) {
      found.push({ at: at + from, bytes: bytes.subarray(from, Math.min(length, from + longest)) });
    }
  }
  return found.sort((a, b) => a.at - b.at);
}

async function readJoined(source: ByteSource, joined: readonly JoinedTransfer[], signal?: AbortSignal): Promise<void> {
  for (let next = 0; next < joined.length; ) {
    const batch: { joined: JoinedTransfer; bytes: Uint8Array }[] = [];
    for (let spare = 0; next < joined.length && spare < MAX_EXTRA_BYTES; next++) {
      const each = joined[next]!;
      const alone = each.parts.length === 1;
      if (alone && isDetached(each)) continue;
      batch.push({ joined: each, bytes: alone ? each.parts[0]!.bytes : new Uint8Array(each.length) });
      if (!alone) spare += each.length;
    }
    try {
      await source.read(
        batch.map(({ joined: { at }, bytes }) => ({ at, bytes })),
        signal,
      );
    } catch (error) {
      // If a buffer was detached or shrunk, the others are still filled.
      if (!batch.some(({ joined: each }) => isDetached(each))) throw error;
    }
    for (const { joined: each, bytes } of batch) scatter(each, bytes);
  }
}

/** True if a caller's buffer was detached or shrunk. */
function isDetached({ parts }: JoinedTransfer): boolean {
  return parts.some(({ bytes, length }) => !hasBytes(bytes, length));
}

function scatter({ parts }: JoinedTransfer, bytes: Uint8Array): void {
  if (parts.length === 1) return;
  for (const { from, length, bytes: into } of parts) put(into, 0, bytes.subarray(from, from + length));
}
