/** Decoding and encoding are inverse, for every structure of the format. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bitmap, decodeBitmaps, encodeBitmaps } from '../../src/format/bitmaps.js';
import { decodeBitmapsExtension, encodeBitmapsExtension } from '../../src/format/bitmaps-extension.js';
import { viewOf } from '../../src/format/bytes.js';
import { setL1Entry, setL2Entry } from '../../src/format/encode-entries.js';
import { encodeExtensions, encodeFeatureNames } from '../../src/format/encode-extensions.js';
import { encodeHeader } from '../../src/format/encode-header.js';
import { countContiguous, getL1Entry, getL2Entry, type Mapping } from '../../src/format/entries.js';
import { decodeExtensions } from '../../src/format/extensions.js';
import { decodeFeatureNames } from '../../src/format/feature-names.js';
import { geometryOf } from '../../src/format/geometry.js';
import { decodeHeader, type Header } from '../../src/format/header.js';
import { getRefcount, refcountsPerBlock, setRefcount } from '../../src/format/refcounts.js';
import { decodeSnapshots, encodeSnapshots, type Snapshot } from '../../src/format/snapshots.js';

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const uint64 = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const bits = fc.uniqueArray(fc.integer({ min: 0, max: 63 })).map((set) => set.sort((a, b) => a - b));
const bytes = (max: number) => fc.uint8Array({ maxLength: max });

const commonFields = {
  backingFileOffset: uint64,
  backingFileSize: uint32,
  clusterBits: uint32,
  size: uint64,
  cryptMethod: uint32,
  l1Size: uint32,
  l1TableOffset: uint64,
  refcountTableOffset: uint64,
  refcountTableClusters: uint32,
  snapshotCount: uint32,
  snapshotsOffset: uint64,
};

const headerOf3: fc.Arbitrary<Header> = fc
  .record({
    ...commonFields,
    incompatibleFeatures: bits,
    compatibleFeatures: bits,
    autoclearFeatures: bits,
    refcountOrder: uint32,
    compressionType: fc.integer({ min: 0, max: 255 }),
    unknownFields: bytes(64),
    short: fc.boolean(),
  })
  .map(({ short, unknownFields, compressionType, ...fields }) => ({
    ...fields,
    version: 3 as const,
    // 104 is a header without compression_type; 105 and more have it, and what is unknown behind it.
    headerLength: short ? 104 : 105 + unknownFields.length,
    compressionType: short ? 0 : compressionType,
    unknownFields: short ? new Uint8Array(0) : unknownFields,
  }));

const headerOf2: fc.Arbitrary<Header> = fc.record({
  ...commonFields,
  version: fc.constant(2 as const),
  incompatibleFeatures: fc.constant([]),
  compatibleFeatures: fc.constant([]),
  autoclearFeatures: fc.constant([]),
  refcountOrder: fc.constant(4),
  headerLength: fc.constant(72),
  compressionType: fc.constant(0),
  unknownFields: fc.constant(new Uint8Array(0)),
});

describe('header', () => {
  it('is unchanged by encoding and decoding', () => {
    fc.assert(
      fc.property(fc.oneof(headerOf2, headerOf3), (header) => {
        const encoded = encodeHeader(header);
        expect(encoded.length).toBe(header.headerLength);
        expect(decodeHeader(encoded)).toEqual(header);
        expect(encodeHeader(decodeHeader(encoded))).toEqual(encoded);
      }),
    );
  });
});

describe('extensions', () => {
  const extension = fc.record({ type: fc.integer({ min: 1, max: 0xffff_ffff }), data: bytes(70) });

  it('keep every byte, known or not', () => {
    fc.assert(
      fc.property(fc.array(extension, { maxLength: 8 }), fc.integer({ min: 0, max: 120 }), (extensions, start) => {
        const encoded = encodeExtensions(extensions);
        const file = new Uint8Array(start + encoded.length);
        file.set(encoded, start);
        const decoded = decodeExtensions(file, start, file.length);
        expect(decoded.map(({ type, data }) => ({ type, data }))).toEqual(extensions);
        for (const { offset, data } of decoded) expect(file.subarray(offset, offset + data.length)).toEqual(data);
        expect(encodeExtensions(decoded)).toEqual(encoded);
      }),
    );
  });

  it('need no end marker if they fill the area', () => {
    const encoded = encodeExtensions([{ type: 7, data: new Uint8Array(8) }]);
    const full = encoded.subarray(0, encoded.length - 8);
    expect(decodeExtensions(full, 0, full.length)).toHaveLength(1);
  });

  it('keep feature names', () => {
    const name = fc.record({
      kind: fc.integer({ min: 0, max: 2 }),
      bit: fc.integer({ min: 0, max: 63 }),
      name: fc.string({ maxLength: 46, unit: fc.integer({ min: 32, max: 126 }).map((c) => String.fromCharCode(c)) }),
    });
    fc.assert(
      fc.property(fc.array(name, { maxLength: 10 }), (names) => {
        expect(decodeFeatureNames(encodeFeatureNames(names))).toEqual(names);
      }),
    );
  });

  it('keep the offset of the bitmap directory', () => {
    fc.assert(
      fc.property(fc.record({ count: uint32, directorySize: uint64, directoryOffset: uint64 }), (bitmaps) => {
        const data = encodeBitmapsExtension(bitmaps);
        expect(decodeBitmapsExtension({ type: 0x23852875, offset: 0, data })).toEqual(bitmaps);
      }),
    );
  });
});

const geometries = fc
  .record({ clusterBits: fc.integer({ min: 9, max: 21 }), extendedL2: fc.boolean(), externalData: fc.boolean() })
  .filter(({ clusterBits, extendedL2 }) => !extendedL2 || clusterBits >= 14)
  .map((fields) => geometryOf({ version: 3, ...fields }));

/** A cluster's place: below 2^53, since the API's offsets are numbers. */
const hostCluster = (clusterBits: number) =>
  fc.integer({ min: 1, max: 2 ** (53 - clusterBits) - 1 }).map((cluster) => cluster * 2 ** clusterBits);

describe('entries', () => {
  it('of an L1 table are unchanged by encoding and decoding', () => {
    const entry = fc.record({ offset: fc.option(hostCluster(9)), owned: fc.boolean() });
    fc.assert(
      fc.property(entry, fc.integer({ min: 0, max: 7 }), (l1Entry, index) => {
        const table = new DataView(new ArrayBuffer(64));
        setL1Entry(table, index, l1Entry);
        expect(getL1Entry(table, index)).toEqual(l1Entry);
      }),
    );
  });

  it('of an L2 table are unchanged by encoding and decoding, of every kind and at every cluster size', () => {
    const sample = geometries.chain((geometry) => {
      const host = hostCluster(geometry.clusterBits);
      // x = 62 - (cluster_bits - 8) bits of offset, the rest counts 512-byte sectors.
      const offsetBits = 62 - (geometry.clusterBits - 8);
      const compressed = fc
        .record({
          host: fc.integer({ min: 1, max: 2 ** Math.min(53, offsetBits) - 1 }),
          sectors: fc.integer({ min: 0, max: 2 ** (geometry.clusterBits - 8) - 1 }),
        })
        .map(({ host, sectors }) => ({
          kind: 'compressed' as const,
          host,
          length: 512 * (sectors + 1) - (host % 512),
        }));
      const standard = fc.oneof(
        fc.constant({ kind: 'unallocated' as const }),
        fc.record({ kind: fc.constant('zero' as const), host: fc.option(host), owned: fc.constant(false) }),
        fc.record({ kind: fc.constant('data' as const), host, owned: fc.boolean() }),
      );
      const extended = fc.record({
        kind: fc.constant('subclusters' as const),
        host: fc.oneof(host, fc.constant(null)),
        owned: fc.constant(false),
        allocated: uint32,
        zero: uint32,
      });
      const mapping: fc.Arbitrary<Mapping> = fc.oneof(geometry.extendedL2 ? extended : standard, compressed);
      return fc.tuple(fc.constant(geometry), mapping);
    });
    fc.assert(
      fc.property(sample, fc.integer({ min: 0, max: 31 }), ([geometry, mapping], index) => {
        const table = new DataView(new ArrayBuffer(512));
        setL2Entry(geometry, table, index, mapping);
        expect(getL2Entry(geometry, table, index)).toEqual(mapping);
      }),
      { numRuns: 2000 },
    );
  });

  it('accept host offset 0 only in an external data file', () => {
    const table = new DataView(new ArrayBuffer(8));
    table.setUint32(0, 0x8000_0000);
    const fields = { version: 3, clusterBits: 16, extendedL2: false } as const;
    expect(getL2Entry(geometryOf({ ...fields, externalData: false }), table, 0)).toEqual({ kind: 'unallocated' });
    expect(getL2Entry(geometryOf({ ...fields, externalData: true }), table, 0)).toMatchObject({
      kind: 'data',
      host: 0,
    });
  });

  it('count as contiguous across 2^32, and exactly as far as they are', () => {
    const geometry = geometryOf({ version: 3, clusterBits: 16, extendedL2: false, externalData: false });
    const table = new DataView(new ArrayBuffer(65_536));
    const start = 2 ** 32 - 3 * 65_536;
    for (let index = 0; index < 8; index++) {
      const host = start + index * 65_536;
      setL2Entry(geometry, table, index, { kind: 'data', host, owned: index % 2 === 0 });
    }
    expect(countContiguous(geometry, table, 0, 100)).toBe(8);
    expect(countContiguous(geometry, table, 2, 4)).toBe(4);
    expect(countContiguous(geometry, table, 8, 100)).toBe(100);
  });

  it('count an unallocated run no further than a cluster that COPIED alone marks, beside a data file', () => {
    const geometry = geometryOf({ version: 3, clusterBits: 16, extendedL2: false, externalData: true });
    const table = new DataView(new ArrayBuffer(64));
    table.setUint32(24, 0x8000_0000);
    expect(countContiguous(geometry, table, 0, 8)).toBe(3);
    expect(countContiguous(geometry, table, 4, 4)).toBe(4);
  });
});

describe('refcounts', () => {
  it.each([0, 1, 2, 3, 4, 5, 6])(
    'of order %i are unchanged by encoding and decoding, and do not change adjacent ones',
    (order) => {
      const max = 2n ** BigInt(2 ** order) - 1n;
      const count = refcountsPerBlock(512, order);
      const writes = fc.array(
        fc.record({ index: fc.integer({ min: 0, max: count - 1 }), value: fc.bigInt({ min: 0n, max }) }),
        { maxLength: 50 },
      );
      fc.assert(
        fc.property(writes, (list) => {
          const block = new DataView(new ArrayBuffer(512));
          const model = new Map<number, bigint>();
          for (const { index, value } of list) {
            setRefcount(block, order, index, order === 6 ? value : Number(value));
            model.set(index, value);
          }
          for (let index = 0; index < count; index++) {
            expect(BigInt(getRefcount(block, order, index))).toBe(model.get(index) ?? 0n);
          }
        }),
        { numRuns: 20 },
      );
      expect(() => setRefcount(new DataView(new ArrayBuffer(512)), order, 0, max + 1n)).toThrow(RangeError);
    },
  );
});

describe('snapshots', () => {
  const snapshot: fc.Arbitrary<Snapshot> = fc.record({
    l1TableOffset: uint64,
    l1Size: uint32,
    dateSec: uint32,
    dateNsec: uint32,
    vmClockHigh: uint32,
    vmClockLow: uint32,
    vmStateSize32: uint32,
    extra: bytes(40),
    id: bytes(12),
    name: bytes(30),
  });

  it('are unchanged by encoding and decoding, and a truncated table is detected', () => {
    fc.assert(
      fc.property(fc.array(snapshot, { minLength: 1, maxLength: 6 }), fc.nat(), (snapshots, cut) => {
        const encoded = encodeSnapshots(snapshots);
        expect(decodeSnapshots(encoded, snapshots.length, 0)).toEqual({ snapshots, length: encoded.length });
        // Padding may be missing at the end of a file, names may not.
        const short = cut % (encoded.length - 8);
        expect(decodeSnapshots(encoded.subarray(0, short), snapshots.length, 0)).toBeNull();
      }),
    );
  });
});

describe('bitmaps', () => {
  const bitmap: fc.Arbitrary<Bitmap> = fc.record({
    tableOffset: uint64,
    tableSize: uint32,
    flags: uint32,
    type: fc.constant(1),
    granularityBits: fc.integer({ min: 9, max: 31 }),
    extra: bytes(20),
    name: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  });

  it('are unchanged by encoding and decoding, and a wrong number in a directory is detected', () => {
    fc.assert(
      fc.property(fc.array(bitmap, { minLength: 1, maxLength: 6 }), (bitmaps) => {
        const encoded = encodeBitmaps(bitmaps);
        expect(decodeBitmaps(encoded, bitmaps.length, 0)).toEqual(bitmaps);
        expect(() => decodeBitmaps(encoded, bitmaps.length + 1, 0)).toThrow(/instead of/);
        expect(viewOf(encoded).byteLength % 8).toBe(0);
      }),
    );
  });
});
