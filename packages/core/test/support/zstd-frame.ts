/** Owns zstd frames made by hand (RFC 8878, 3.1), for tests that need one with a field just so. */

/** One block of a frame. `coded` takes the bytes of a compressed block as they are. */
export type Block =
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  | { readonly kind: 'repeated'; readonly byte: number; readonly count: number }
  | { readonly kind: 'coded'; readonly bytes: Uint8Array }
  | { readonly kind: 'reserved' };

/** A frame. Without a content size it has a window, by default of 128 KiB. */
export interface FramePlan {
  readonly blocks: readonly Block[];
  readonly contentBytes?: number;
  /** The window descriptor, a byte: 5 bits of exponent, 3 of mantissa. */
  readonly window?: number;
  readonly dictionary?: number;
  readonly reservedBit?: boolean;
  /** Four bytes behind the last block. */
  readonly checksum?: Uint8Array;
}

const little = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);

function blockBytes(block: Block, last: boolean): Uint8Array {
  const { type, size, bytes } = contentOf(block);
  return joined(Uint8Array.from(little((last ? 1 : 0) + type * 2 + size * 8, 3)), bytes);
}

function contentOf(block: Block): { type: number; size: number; bytes: Uint8Array } {
  switch (block.kind) {
    case 'raw':
      return { type: 0, size: block.bytes.length, bytes: block.bytes };
    case 'repeated':
      return { type: 1, size: block.count, bytes: Uint8Array.of(block.byte) };
    case 'coded':
      return { type: 2, size: block.bytes.length, bytes: block.bytes };
    case 'reserved':
      return { type: 3, size: 0, bytes: new Uint8Array(0) };
  }
}

/** The bytes of a frame. */
export function frame(plan: FramePlan): Uint8Array {
  const { contentBytes, dictionary, window } = plan;
  const single = contentBytes !== undefined && window === undefined;
  const descriptor =
    (contentBytes === undefined ? 0 : 0xc0) |
    (single ? 0x20 : 0) |
    (plan.reservedBit ? 8 : 0) |
    (plan.checksum ? 4 : 0) |
    (dictionary === undefined ? 0 : 3);
  return joined(
    Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, descriptor),
    Uint8Array.from(single ? [] : [window ?? 7 << 3]),
    Uint8Array.from(dictionary === undefined ? [] : little(dictionary, 4)),
    Uint8Array.from(contentBytes === undefined ? [] : little(contentBytes, 8)),
    ...plan.blocks.map((block, index) => blockBytes(block, index === plan.blocks.length - 1)),
    plan.checksum ?? new Uint8Array(0),
  );
}

/** A frame that holds no data; `kind` is one of sixteen. */
export function skippable(bytes: Uint8Array, kind = 0): Uint8Array {
  return joined(Uint8Array.from([...little(0x184d2a50 + kind, 4), ...little(bytes.length, 4)]), bytes);
}

/** Bytes one behind the other. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
