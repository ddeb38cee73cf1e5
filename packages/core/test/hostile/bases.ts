/** Owns the sound images that hostile tests break: small, with every structure that can be broken. */
import { deflateRawSync } from 'node:zlib';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, type HeaderExtension } from '../support/image-builder.js';

/** Types of the header extensions (spec: "Header extensions"). */
export const EXTENSION = {
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
  dataFile: 0x44415441,
  unknown: 0x0badf00d,
} as const;

/**
 * The guest clusters that the bitmap directory of {@link richImage} and its bitmap's table lie in; the guest sees them
 * too.
 */
const DIRECTORY_CLUSTER = 12;
const BITMAP_TABLE_CLUSTER = 13;

/** A cluster of bytes that no other cluster has, half of it easy to compress. */
export function pattern(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i < size / 2 ? seed : (i * 31 + (i >> 8) * 7 + seed) & 255));
}

/** Guest clusters of every kind: data, both zeros, three compressed streams that share sectors. */
export function everyKind(size: number): Map<number, Cell> {
  const stream = (seed: number): Uint8Array => deflateRawSync(pattern(size, seed), { windowBits: 12 });
  return new Map<number, Cell>([
    [0, { kind: 'data', bytes: pattern(size, 1) }],
    [1, { kind: 'data', bytes: pattern(size, 2) }],
    [2, { kind: 'data', bytes: pattern(size, 3) }],
    [4, { kind: 'zero', allocated: true }],
    [5, { kind: 'zero', allocated: false }],
    [7, { kind: 'compressed', payload: stream(7) }],
    [8, { kind: 'compressed', payload: stream(8) }],
    [9, { kind: 'compressed', payload: stream(9) }],
    [15, { kind: 'data', bytes: pattern(size, 4) }],
  ]);
}

/** A directory of one bitmap. */
function bitmapDirectory(tableAt: number): Uint8Array {
  const bytes = new Uint8Array(32);
  put(bytes, 0, 8, tableAt);
  put(bytes, 8, 4, 1); // entries of its table
  put(bytes, 12, 4, 2); // flags: auto
  put(bytes, 16, 1, 1); // type: dirty tracking
  put(bytes, 17, 1, 16); // granularity bits
  put(bytes, 18, 2, 4);
  bytes.set(new TextEncoder().encode('mark'), 24);
  return bytes;
}

function bitmapsExtension(directoryAt: number): HeaderExtension {
  const data = new Uint8Array(24);
  put(data, 0, 4, 1);
  put(data, 8, 8, 32);
  put(data, 16, 8, directoryAt);
  return { type: EXTENSION.bitmaps, data };
}

function featureNames(): HeaderExtension {
  const data = new Uint8Array(48);
  data[1] = 17; // incompatible bit 17
  data.set(new TextEncoder().encode('time travel'), 2);
  return { type: EXTENSION.featureNames, data };
}

/** Version 3, clusters of 4 KiB, with snapshots, a bitmap and an extension of an unknown type. */
export function richImage(): BuiltImage {
  const build = (directoryAt: number, tableAt: number): BuiltImage => {
    const clusters = everyKind(4096);
    clusters.set(DIRECTORY_CLUSTER, { kind: 'data', bytes: bitmapDirectory(tableAt) });
    clusters.set(BITMAP_TABLE_CLUSTER, { kind: 'data', bytes: new Uint8Array(4096) });
    return buildImage({
      clusterBits: 12,
      size: 16 * 4096,
      autoclear: 1n,
      extensions: [featureNames(), bitmapsExtension(directoryAt), { type: EXTENSION.unknown, data: pattern(20, 5) }],
      clusters,
      snapshots: [
        { id: '1', name: 'one', dateSec: 1_700_000_000 },
        { id: '2', name: 'two', dateSec: 1_700_000_001 },
      ],
    });
  };
  // the first build says where the clusters come to lie
  const first = build(0, 0);
  const hostOf = (cluster: number): number =>
    Number(get(first.bytes, first.entryAt(cluster), 8) & 0x00ff_ffff_ffff_fe00n);
  return build(hostOf(DIRECTORY_CLUSTER), hostOf(BITMAP_TABLE_CLUSTER));
}

/** Version 3, nothing but a header, tables and clusters of 4 KiB: it names no file, and no field is for show. */
export function plainImage(): BuiltImage {
  return buildImage({ clusterBits: 12, size: 16 * 4096, clusters: everyKind(4096) });
}

/** Version 2, clusters of 512 bytes: two L2 tables. Zero clusters do not exist there. */
export function oldImage(): BuiltImage {
  const clusters = new Map([...everyKind(512)].filter(([, { kind }]) => kind !== 'zero'));
  clusters.set(70, { kind: 'data', bytes: pattern(512, 6) });
  return buildImage({ version: 2, clusterBits: 9, size: 80 * 512, clusters });
}

/** Extended L2 entries, clusters of 16 KiB: some subclusters allocated, some zero, some neither. */
export function extendedImage(): BuiltImage {
  const clusters = everyKind(16_384);
  clusters.set(1, { kind: 'data', bytes: pattern(16_384, 2), bitmap: 0x00ff_0000_ff00_00ffn });
  return buildImage({ clusterBits: 14, size: 16 * 16_384, extendedL2: true, clusters });
}

/** Over a backing file that nobody hands over, its format given. */
export function overlayImage(): BuiltImage {
  return buildImage({
    clusterBits: 12,
    size: 16 * 4096,
    backingName: 'base.raw',
    extensions: [{ type: EXTENSION.backingFormat, data: new TextEncoder().encode('raw') }],
    clusters: new Map<number, Cell>([[0, { kind: 'data', bytes: pattern(4096, 1) }]]),
  });
}
