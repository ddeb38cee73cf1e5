/** Finds the clusters of an image that a writer may write in place: its L2 tables, and the clusters of guest data. */
import type { ByteSource } from '../../src/index.js';
import type { Checked } from '../../src/verbs/check/check.js';
import { get } from '../support/big-endian.js';

/** Bits 9 to 55 of an entry, and what calls a cluster compressed. */
const OFFSET = 0x00ff_ffff_ffff_fe00n;
const COMPRESSED = 1n << 62n;

/** The numbers of those clusters. Compressed clusters are not among them: several streams may share one. */
export async function* clustersWrittenInPlace(
  source: ByteSource,
  { header, geometry }: Checked['context'],
): AsyncGenerator<number> {
  const { clusterSize, extendedL2, externalData } = geometry;
  const entrySize = extendedL2 ? 16 : 8;
  const l1 = await bytesAt(source, header.l1TableOffset, header.l1Size * 8);
  for (let index = 0; index < header.l1Size; index++) {
    const tableAt = Number(get(l1, index * 8, 8) & OFFSET);
    if (tableAt === 0) continue;
    yield Math.floor(tableAt / clusterSize);
    if (externalData) continue;
    const table = await bytesAt(source, tableAt, clusterSize);
    for (let at = 0; at < clusterSize; at += entrySize) {
      const entry = get(table, at, 8);
      if ((entry & COMPRESSED) === 0n && (entry & OFFSET) !== 0n)
        yield Math.floor(Number(entry & OFFSET) / clusterSize);
    }
  }
}

async function bytesAt(source: ByteSource, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await source.read([{ at, bytes }]);
  return bytes;
}
