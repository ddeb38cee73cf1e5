/** Owns the image that promises far more than its file can hold. */

const CLUSTER = 65_536;
const L2_ENTRIES = CLUSTER / 8;
const L1_ENTRIES = 8192;
const COMPRESSED = 1n << 62n;

/** 4 TiB of compressed clusters in a third of a megabyte: every L1 entry names the same L2 table. */
export function repeatingImage(): Uint8Array<ArrayBuffer> {
  const l2 = CLUSTER + L1_ENTRIES * 8;
  const bytes = new Uint8Array(l2 + 3 * CLUSTER);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 3);
  view.setUint32(20, 16);
  view.setBigUint64(24, BigInt(L1_ENTRIES * L2_ENTRIES * CLUSTER));
  view.setUint32(36, L1_ENTRIES);
  view.setBigUint64(40, BigInt(CLUSTER));
  view.setBigUint64(48, BigInt(l2 + CLUSTER));
  view.setUint32(56, 1);
  view.setUint32(96, 4);
  view.setUint32(100, 104);
  for (let i = 0; i < L1_ENTRIES; i++) view.setBigUint64(CLUSTER + i * 8, BigInt(l2));
  for (let i = 0; i < L2_ENTRIES; i++) view.setBigUint64(l2 + i * 8, COMPRESSED | BigInt(l2 + 2 * CLUSTER));
  return bytes;
}
