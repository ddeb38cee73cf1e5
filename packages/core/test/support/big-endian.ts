/** Owns big-endian numbers in bytes, for tests that make or break images by hand. */

/** Writes a big-endian number of `width` bytes. */
export function put(bytes: Uint8Array, at: number, width: 1 | 2 | 4 | 8, value: number | bigint): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const big = BigInt.asUintN(width * 8, BigInt(value));
  if (width === 8) view.setBigUint64(at, big);
  else if (width === 4) view.setUint32(at, Number(big));
  else if (width === 2) view.setUint16(at, Number(big));
  else view.setUint8(at, Number(big));
}

/** Reads a big-endian number of `width` bytes. */
export function get(bytes: Uint8Array, at: number, width: 1 | 2 | 4 | 8): bigint {
  let value = 0n;
  for (let i = 0; i < width; i++) value = (value << 8n) | BigInt(bytes[at + i]!);
  return value;
}
