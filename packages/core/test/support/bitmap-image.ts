/** Owns test images with one persistent bitmap, of which every table entry is told. Runs wherever JavaScript does. */
import { get, put } from './big-endian.js';
import { buildImage, type Cell } from './image-builder.js';

/** Bytes of a cluster, and so of the bits that a table entry stands for. */
export const CLUSTER = 512;
/** Guest bytes that one cluster of bits stands for at the granularity of 512. */
export const STRETCH: number = CLUSTER * 8 * 512;
/** Guest clusters that hold the directory, the table, and from then on the bits; the guest sees them too. */
const DIRECTORY = 0;
const TABLE = 1;
const BITS = 2;

/** The bitmap to build; what is left out is as it should be. */
export interface BitmapPlan {
  /** Size of the disk, bytes. */
  readonly size?: number;
  /** Each an entry as it is, or the bits that its cluster holds. */
  readonly table: readonly (bigint | Uint8Array)[];
  readonly flags?: number;
  readonly extraBytes?: number;
  /** Breaks the directory's only entry. */
  readonly damage?: (entry: Uint8Array) => void;
}

function directory(plan: BitmapPlan, tableAt: number): Uint8Array {
  const extra = plan.extraBytes ?? 0;
  const entry = new Uint8Array(Math.ceil((24 + extra + 1) / 8) * 8);
  put(entry, 0, 8, tableAt);
  put(entry, 8, 4, plan.table.length);
  put(entry, 12, 4, plan.flags ?? 0);
  put(entry, 16, 1, 1);
  put(entry, 17, 1, 9);
  put(entry, 18, 2, 1);
  put(entry, 20, 4, extra);
  entry[24 + extra] = 'b'.charCodeAt(0);
  plan.damage?.(entry);
  return entry;
}

/** An image with one bitmap, named `b`, of the granularity 512. */
export function bitmapImage(plan: BitmapPlan): Uint8Array<ArrayBuffer> {
  const build = (hostOf: (cluster: number) => number) => {
    const clusters = new Map<number, Cell>();
    const table = new Uint8Array(CLUSTER);
    plan.table.forEach((entry, index) => {
      put(table, index * 8, 8, typeof entry === 'bigint' ? entry : hostOf(BITS + index));
      if (typeof entry !== 'bigint') clusters.set(BITS + index, { kind: 'data', bytes: entry });
    });
    const entry = directory(plan, hostOf(TABLE));
    clusters.set(DIRECTORY, { kind: 'data', bytes: entry });
    clusters.set(TABLE, { kind: 'data', bytes: table });
    const data = new Uint8Array(24);
    put(data, 0, 4, 1);
    put(data, 8, 8, entry.length);
    put(data, 16, 8, hostOf(DIRECTORY));
    const extensions = [{ type: 0x23852875, data }];
    return buildImage({
      clusterBits: 9,
      size: plan.size ?? plan.table.length * STRETCH,
      autoclear: 1n,
      extensions,
      clusters,
    });
  };
  // the first build says where the clusters come to lie
  const first = build(() => 0);
  return build((cluster) => Number(get(first.bytes, first.entryAt(cluster), 8) & 0x00ff_ffff_ffff_fe00n)).bytes;
}
