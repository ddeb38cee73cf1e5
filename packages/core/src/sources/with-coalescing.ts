/**
 * Owns the decorator that makes one transfer of neighbours and near neighbours, for sources where a request costs more
 * than its bytes. It joins what one batch asks for, and keeps nothing.
 */
import type { ByteSource, Done, Transfer } from '../api/device.js';
import { fixedTransfers, hasBytes, put, requireAllIntact } from '../engine/async/request-buffers.js';

/** At 10 MB/s these bytes take 7 ms: less than a request does. */
const GAP = 64 * 1024;
/** A larger request brings no more bytes a second, and is dearer to make again. */
const LONGEST = 4 * 1024 * 1024;
/** What a batch may need at once beside the caller's own buffers, bytes. */
const SPARE = 32 * 1024 * 1024;

/** What is joined. */
export interface CoalescingOptions {
  /**
   * The most bytes between two neighbours that are fetched and thrown away, rather than asked for apart; default 64
   * KiB.
   */
  gap?: number | undefined;
  /** The longest transfer, bytes; longer ones are cut. Default 4 MiB. */
  longest?: number | undefined;
}

/** A transfer to be made, and the buffers that its bytes are for, each at its distance from `at`. */
export interface JoinedTransfer {
  readonly at: number;
  length: number;
  readonly parts: { readonly from: number; readonly length: number; readonly bytes: Uint8Array }[];
}

/**
 * A source that asks `source` for few long transfers where many short ones are asked of it.
 *
 * @throws RangeError for options that are no numbers of bytes
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
  const { gap = GAP, longest = LONGEST } = options;
  if (!Number.isSafeInteger(gap) || gap < 0) throw new RangeError(`gap must be a number of bytes, not ${gap}.`);
  if (!Number.isSafeInteger(longest) || longest < 1) {
    throw new RangeError(`longest must be a number of bytes, not ${longest}.`);
  }
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

/** The plan: which transfers to make for these. What lies past the end, `size`, is filled with zeros at once. */
export function joinTransfers(
  transfers: readonly Transfer[],
  size: number,
  gap: number,
  longest: number,
): JoinedTransfer[] {
  const joined: JoinedTransfer[] = [];
  for (const { at, bytes } of pieces(transfers, size, longest)) {
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

/** The transfers in order, none empty and none longer than `longest`. */
function pieces(transfers: readonly Transfer[], size: number, longest: number): Transfer[] {
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
    for (let spare = 0; next < joined.length && spare < SPARE; next++) {
      const each = joined[next]!;
      const alone = each.parts.length === 1;
      if (alone && isLost(each)) continue;
      batch.push({ joined: each, bytes: alone ? each.parts[0]!.bytes : new Uint8Array(each.length) });
      if (!alone) spare += each.length;
    }
    try {
      await source.read(
        batch.map(({ joined: { at }, bytes }) => ({ at, bytes })),
        signal,
      );
    } catch (error) {
      // The others of the batch are filled all the same.
      if (!batch.some(({ joined: each }) => isLost(each))) throw error;
    }
    for (const { joined: each, bytes } of batch) scatter(each, bytes);
  }
}

/** Whether the caller's memory for a part is not there any more. */
function isLost({ parts }: JoinedTransfer): boolean {
  return parts.some(({ bytes, length }) => !hasBytes(bytes, length));
}

function scatter({ parts }: JoinedTransfer, bytes: Uint8Array): void {
  if (parts.length === 1) return;
  for (const { from, length, bytes: into } of parts) put(into, 0, bytes.subarray(from, from + length));
}
