/** What the figures of a usage add up to. */
import type { Usage } from '../../src/index.js';

/** The sum of all figures that count bytes of the image file: its length. */
export function sumOf({ fileSize: _, dataFile: __, snapshots, ...figures }: Usage): number {
  const parts = [...Object.values(figures), ...snapshots.map(({ exclusive }) => exclusive)];
  return parts.reduce((sum, bytes) => sum + bytes, 0);
}
