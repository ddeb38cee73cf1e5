/** Decodes the extension that leads to an encryption header (spec: "Full disk encryption header pointer"). */
import { getUint64, viewOf } from './bytes.js';
import type { HeaderExtension } from './extensions.js';

/** The bytes of the extension's data. */
export const CRYPTO_POINTER_BYTES = 16;

/** Where an encryption header is in the file; bytes. */
export interface CryptoHeaderPlace {
  readonly at: number;
  readonly length: number;
}

/** The place that the extension leads to. Its data must have `CRYPTO_POINTER_BYTES` bytes at least. */
export function cryptoHeaderPlace({ data }: HeaderExtension): CryptoHeaderPlace {
  const view = viewOf(data);
  return { at: getUint64(view, 0), length: getUint64(view, 8) };
}
