/** Up to where entries may lead in a file that got a refcount table at its end, also in a repair that did not end. */
import { readBytes } from '../../engine/layer/read-bytes.js';
import { alignUp } from '../../format/bytes.js';
import { INCOMPATIBLE } from '../../format/header.js';
import type { RepairContext } from './repair-context.js';

/**
 * The end of the file; where the last cluster is a refcount table that a repair added and has not filled, the offset of
 * that: what led there before led past the end. Version 2 has no mark that would tell a repair.
 *
 * @throws what the medium throws.
 */
export async function endOfEntries({ medium, header, geometry, fileSize, signal }: RepairContext): Promise<number> {
  const { clusterSize } = geometry;
  const { refcountTableOffset: at, refcountTableClusters, version, incompatibleFeatures } = header;
  const isMarked = version === 2 || incompatibleFeatures.includes(INCOMPATIBLE.corrupt);
  const isLast = refcountTableClusters === 1 && at < fileSize && at + clusterSize === alignUp(fileSize, clusterSize);
  if (!isMarked || !isLast) return fileSize;
  const table = await readBytes(medium, at, clusterSize, signal);
  return table.every((byte) => byte === 0) ? at : fileSize;
}
