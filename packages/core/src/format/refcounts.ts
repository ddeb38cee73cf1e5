/** Reads and writes the refcounts of a refcount block, 1 to 64 bits wide (spec: "Host cluster management"). */

/** Number of refcounts in a block of one cluster, each `1 << order` bits wide. */
export function refcountsPerBlock(clusterSize: number, order: number): number {
  return (clusterSize * 8) / 2 ** order;
}

/** Reads the refcount at `index` of a block. Only 64-bit ones (`order` 6) are BigInts. */
export function getRefcount(block: DataView, order: number, index: number): number | bigint {
  switch (order) {
    case 6:
      return block.getBigUint64(index * 8);
    case 5:
      return block.getUint32(index * 4);
    case 4:
      return block.getUint16(index * 2);
    case 3:
      return block.getUint8(index);
    default: {
      // Widths under 8 bits are packed from the least significant bit.
      const bits = 1 << order;
      const perByte = 8 / bits;
      const shift = (index % perByte) * bits;
      return (block.getUint8(Math.floor(index / perByte)) >>> shift) & ((1 << bits) - 1);
    }
  }
}

/**
 * Writes the refcount at `index` of a block.
 *
 * @throws RangeError when the value does not fit in `1 << order` bits.
 */
export function setRefcount(block: DataView, order: number, index: number, value: number | bigint): void {
  const bits = 1 << order;
  if (value < 0 || (order < 6 ? value >= 2 ** bits : BigInt(value) >> 64n !== 0n)) {
    throw new RangeError(`A refcount of ${value} does not fit in ${bits} bits.`);
  }
  switch (order) {
    case 6:
      block.setBigUint64(index * 8, BigInt(value));
      return;
    case 5:
      block.setUint32(index * 4, Number(value));
      return;
    case 4:
      block.setUint16(index * 2, Number(value));
      return;
    case 3:
      block.setUint8(index, Number(value));
      return;
    default: {
      const perByte = 8 / bits;
      const at = Math.floor(index / perByte);
      const shift = (index % perByte) * bits;
      const mask = ((1 << bits) - 1) << shift;
      block.setUint8(at, (block.getUint8(at) & ~mask) | (Number(value) << shift));
    }
  }
}

/** Counts the zeros among the first `count` refcounts of a block. Those of 8 to 32 bits take no call each. */
export function countZeroRefcounts(block: DataView, order: number, count: number): number {
  let zeros = 0;
  const numbers = numbersOf(block, order);
  if (numbers === null) {
    for (let index = 0; index < count; index++) if (Number(getRefcount(block, order, index)) === 0) zeros++;
    return zeros;
  }
  for (let index = 0; index < count; index++) if (numbers[index] === 0) zeros++;
  return zeros;
}

/** The refcounts of a block as numbers of the machine, in whose byte order zero is zero; null for other widths. */
function numbersOf({ buffer, byteOffset, byteLength }: DataView, order: number): ArrayLike<number> | null {
  if (order === 3) return new Uint8Array(buffer, byteOffset, byteLength);
  if (order === 4) return new Uint16Array(buffer, byteOffset, byteLength / 2);
  return order === 5 ? new Uint32Array(buffer, byteOffset, byteLength / 4) : null;
}
