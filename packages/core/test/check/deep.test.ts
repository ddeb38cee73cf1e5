/** The deep check: what QEMU does not look for, in images whose references are sound. */
import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type CheckReport, type Finding, type Progress, Qcow2Image } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { softNoiseOf } from '../support/numbers.js';
import { RecordingSource } from '../support/recording-source.js';

const CLUSTER = 4096;

function compressed(length = CLUSTER, seed = 1): Cell {
  return { kind: 'compressed', payload: deflateRawSync(softNoiseOf(seed, length), { windowBits: 12 }) };
}

function image(plan: ImagePlan = {}): BuiltImage {
  const clusters = new Map([0, 1, 2, 3].map((index) => [index, compressed(CLUSTER, index + 1)]));
  return buildImage({ clusterBits: 12, size: 1024 * CLUSTER, clusters, ...plan });
}

/** The report of a deep check, once a check has been seen to find nothing. */
async function deep({ bytes }: Pick<BuiltImage, 'bytes'>): Promise<CheckReport> {
  await using opened = await Qcow2Image.open(bytes);
  expect((await opened.check()).findings).toEqual([]);
  const report = await opened.check({ deep: true });
  expect(report).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  return report;
}

async function findingsOf(built: Pick<BuiltImage, 'bytes'>): Promise<readonly Finding[]> {
  return (await deep(built)).findings;
}

const guestOf = (cluster: number, count = 1) => ({ start: cluster * CLUSTER, length: count * CLUSTER });

describe('compressed clusters', () => {
  test('that inflate are not reported', async () => {
    expect(await findingsOf(image())).toEqual([]);
    expect(await findingsOf(image({ snapshots: [{ id: '1', name: 'one' }] }))).toEqual([]);
  });

  test('that are damaged, too short or too long are one finding, with the ranges that they map', async () => {
    const noStream: Cell = { kind: 'compressed', payload: new Uint8Array(300).fill(0xff) };
    const clusters = new Map<number, Cell>([
      [0, compressed()],
      [1, noStream],
      [2, compressed(CLUSTER - 1)],
      [5, compressed(CLUSTER + 1)],
      [700, noStream],
      [701, compressed()],
    ]);
    const built = image({ clusters });
    const report = await deep(built);
    expect(report.extra).toBe(4);
    expect(report.findings).toMatchObject([
      { kind: 'extra', fault: 'compressed-stream', impact: 'data-doubtful', count: 4 },
    ]);
    const [{ places, guest }] = report.findings as [Finding];
    expect(guest).toEqual([guestOf(1, 2), guestOf(5), guestOf(700)]);
    expect(places.map(({ what }) => what)).toEqual([
      'L2 table 0, entry 1',
      'L2 table 0, entry 2',
      'L2 table 0, entry 5',
      'L2 table 1, entry 188',
    ]);
    expect(places[1]).toMatchObject({ at: built.entryAt(2), message: expect.stringContaining('4095 of 4096') });
    expect(places[2]?.message).toContain('more than one cluster');
  });

  test('of a snapshot alone are named by it, and those in a shared table are inflated once', async () => {
    const clusters = new Map<number, Cell>([[3, { kind: 'compressed', payload: new Uint8Array(300).fill(0xff) }]]);
    const built = image({ clusters, snapshots: [{ id: '1', name: 'one' }] });
    expect(await findingsOf(built)).toMatchObject([{ count: 1, places: [{ what: 'L2 table 0, entry 3' }] }]);
    // The active disk lets the table go: it is the snapshot's alone.
    put(built.bytes, built.l1, 8, 0);
    await using opened = await Qcow2Image.open(built.bytes);
    const { findings } = await opened.check({ deep: true });
    expect(findings.filter(({ fault }) => fault === 'compressed-stream')).toMatchObject([
      { count: 1, places: [{ what: 'L2 table 0 of snapshot 0, entry 3', guest: guestOf(3) }], guest: [] },
    ]);
  });

  test('past the end of the file are reported as that alone', async () => {
    const built = image();
    put(built.bytes, built.entryAt(1), 8, get(built.bytes, built.entryAt(1), 8) | (1n << 40n));
    await using opened = await Qcow2Image.open(built.bytes);
    const { findings } = await opened.check({ deep: true });
    expect(findings.map(({ fault }) => fault)).not.toContain('compressed-stream');
    expect(findings[0]).toMatchObject({ fault: 'past-end', guest: [guestOf(1)] });
  });

  test('are read in few calls, and inflated again one by one only beside one that fails', async () => {
    const many = new Map(Array.from({ length: 2000 }, (_, index) => [index, compressed(CLUSTER, index % 7)]));
    const source = new RecordingSource(image({ size: 4096 * CLUSTER, clusters: many }).bytes);
    await using opened = await Qcow2Image.open(source);
    const start = await opened.stats();
    await opened.check();
    const middle = await opened.stats();
    const seen: Progress[] = [];
    expect(await opened.check({ deep: true, onProgress: (progress) => seen.push(progress) })).toMatchObject({
      extra: 0,
    });
    const end = await opened.stats();
    // The L1 table and four L2 tables once more, and two batches of 1024 clusters, whose streams adjoin.
    const added = (name: 'deviceReads' | 'deviceTransfers') => end[name] - middle[name] - (middle[name] - start[name]);
    expect([added('deviceReads'), added('deviceTransfers')]).toEqual([4, 1 + 4 + 2]);
    const streams = seen.filter(({ phase }) => phase === 'streams');
    const total = Math.ceil((4096 * CLUSTER) / (512 * CLUSTER)) * 512 * CLUSTER;
    expect(streams.at(-1)).toEqual({ phase: 'streams', done: total, total });
  });

  test('are left when the signal aborts', async () => {
    const many = new Map(Array.from({ length: 4000 }, (_, index) => [index, compressed(CLUSTER, index % 7)]));
    await using opened = await Qcow2Image.open(image({ size: 4096 * CLUSTER, clusters: many }).bytes);
    const abort = new AbortController();
    const reason = new Error('enough');
    const phases: string[] = [];
    const onProgress = ({ phase, done }: Progress) => {
      phases.push(phase);
      if (phase === 'streams' && done > 0) abort.abort(reason);
    };
    await expect(opened.check({ deep: true, signal: abort.signal, onProgress })).rejects.toBe(reason);
    expect(phases.filter((phase) => phase === 'streams')).toHaveLength(1);
  });
});

describe('the header', () => {
  test('with a bitmaps bit and no bitmaps', async () => {
    expect(await findingsOf(image({ autoclear: 1n }))).toMatchObject([
      { kind: 'extra', fault: 'autoclear-bits', impact: 'bookkeeping', places: [{ at: 88 }] },
    ]);
    const bitmaps = [{ name: 'one', flags: 0, bits: null }];
    expect(await findingsOf(image({ bitmaps }))).toEqual([]);
  });

  test('with bitmaps that are not valid, which is valid: they are leaked', async () => {
    const bitmaps = [{ name: 'one', flags: 0, bits: null }];
    await using opened = await Qcow2Image.open(image({ bitmaps, autoclear: 0n }).bytes);
    const { findings } = await opened.check({ deep: true });
    expect(findings.map(({ fault }) => fault)).toEqual(['refcount-high']);
  });

  test('with two extensions of a type', async () => {
    const data = new TextEncoder().encode('raw');
    const extensions = [
      { type: 0xe2792aca, data },
      { type: 0x12345678, data },
      { type: 0xe2792aca, data },
    ];
    const built = image({ extensions });
    expect(await findingsOf(built)).toMatchObject([
      {
        kind: 'extra',
        fault: 'duplicate-extension',
        impact: 'bookkeeping',
        count: 1,
        places: [{ what: 'header extension', at: built.extensions[2] }],
      },
    ]);
  });
});

describe('bits of bitmaps', () => {
  /** A disk of 100 granules of 512 bytes. */
  const disk = (bits: Uint8Array | null) =>
    image({ size: 100 * 512, clusters: new Map(), bitmaps: [{ name: 'one', flags: 0, bits }] });

  test('past the end of the disk', async () => {
    const bits = new Uint8Array(CLUSTER);
    bits.fill(0xff, 0, 12);
    bits[12] = 0b1111;
    expect(await findingsOf(disk(null))).toEqual([]);
    expect(await findingsOf(disk(bits))).toEqual([]);
    bits[12] = 0b11111;
    const built = disk(bits);
    const directory = Number(get(built.bytes, built.extensions[0]! + 8 + 16, 8));
    expect(await findingsOf(built)).toMatchObject([
      {
        kind: 'extra',
        fault: 'bitmap-bits',
        impact: 'bookkeeping',
        places: [{ what: 'table of bitmap 0, entry 0', at: Number(get(built.bytes, directory, 8)) }],
      },
    ]);
  });

  test('in entries past the last that the disk needs', async () => {
    const built = disk(null);
    const directory = Number(get(built.bytes, built.extensions[0]! + 8 + 16, 8));
    const table = Number(get(built.bytes, directory, 8));
    put(built.bytes, directory + 8, 4, 3);
    put(built.bytes, table, 8, 1);
    expect(await findingsOf(built)).toEqual([]);
    put(built.bytes, table + 16, 8, 1);
    expect(await findingsOf(built)).toMatchObject([{ count: 1, places: [{ what: 'table of bitmap 0, entry 2' }] }]);
  });
});

describe('the bits of entries that share a cluster', () => {
  /** An image with two bitmaps, whose tables have `entries` entries that all lead to one cluster. */
  function sharing(entries: number): RecordingSource {
    const bits = new Uint8Array(CLUSTER);
    bits[12] = 0b11111;
    const one = { name: 'one', flags: 0, bits };
    const built = image({ size: 100 * 512, clusters: new Map(), bitmaps: [one, { ...one, name: 'two' }] });
    const directory = Number(get(built.bytes, built.extensions[0]! + 8 + 16, 8));
    const table = Number(get(built.bytes, directory, 8));
    for (const entry of [directory, directory + 32]) {
      put(built.bytes, entry, 8, table);
      put(built.bytes, entry + 8, 4, entries);
    }
    for (let index = 1; index * 8 < CLUSTER; index++) {
      put(built.bytes, table + index * 8, 8, get(built.bytes, table, 8));
    }
    return new RecordingSource(built.bytes);
  }

  const readsOf = async (source: RecordingSource, deep: boolean): Promise<[number, readonly Finding[]]> => {
    const before = source.calls.length;
    const { report } = await checkSource(source, { deep });
    return [source.calls.length - before, report.findings];
  };

  test('are read once, and found for each entry', async () => {
    const source = sharing(CLUSTER / 8);
    const [plain] = await readsOf(source, false);
    const [deep, findings] = await readsOf(source, true);
    expect(deep - plain).toBeLessThan(10);
    expect(findings.find(({ fault }) => fault === 'bitmap-bits')?.count).toBe(CLUSTER / 4);
  });

  test('are not read of a table that is too long', async () => {
    const [, findings] = await readsOf(sharing(2 ** 29 / CLUSTER + 1), true);
    expect(findings.some(({ fault }) => fault === 'bitmap-bits')).toBe(false);
  });
});

describe('the LUKS header', () => {
  const KEYS = 4096;
  /** 16 bytes of key in 4000 stripes, in units of 4 KiB. */
  const MATERIAL = Math.ceil((16 * 4000) / 4096) * 4096;

  /** A header with eight empty key slots. */
  function luksHeader(): Uint8Array {
    const bytes = new Uint8Array(CLUSTER);
    bytes.set([0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]);
    put(bytes, 6, 2, 1);
    for (const [at, name] of [
      [8, 'aes'],
      [40, 'cbc-plain64'],
      [72, 'sha256'],
    ] as const) {
      bytes.set(new TextEncoder().encode(name), at);
    }
    put(bytes, 104, 4, (KEYS + 8 * MATERIAL) / 512);
    put(bytes, 108, 4, 16);
    put(bytes, 164, 4, 1000);
    for (let slot = 0; slot < 8; slot++) {
      put(bytes, 208 + slot * 48, 4, 0xdead);
      put(bytes, 208 + slot * 48 + 40, 4, (KEYS + slot * MATERIAL) / 512);
      put(bytes, 208 + slot * 48 + 44, 4, 4000);
    }
    return bytes;
  }

  /** An encrypted image, whose header and keys are in the clusters from 100 to 229. */
  function encrypted(harm: (luks: Uint8Array) => void = () => {}): BuiltImage {
    const luks = luksHeader();
    harm(luks);
    const length = 130 * CLUSTER;
    const at = 100 * CLUSTER;
    const data = new Uint8Array(16);
    put(data, 0, 8, at);
    put(data, 8, 8, length);
    const extensions = [{ type: 0x0537be77, data }];
    const built = image({ encryption: 2, clusters: new Map(), extensions, leaked: 230 });
    // What the builder counts as leaked is the header's.
    for (let cluster = 0; cluster < built.bytes.length / CLUSTER; cluster++) {
      const refcount = built.refcountBlocks[0]! + cluster * 2;
      const used = cluster < 3 || (cluster >= 100 && cluster < 230) || cluster * CLUSTER >= built.refcountBlocks[0]!;
      put(built.bytes, refcount, 2, used ? 1 : 0);
    }
    built.bytes.set(luks, at);
    return built;
  }

  test('that is valid is not reported', async () => {
    expect(await findingsOf(encrypted())).toEqual([]);
  });

  test('that is not valid is', async () => {
    expect(await findingsOf(encrypted((luks) => put(luks, 164, 4, 0)))).toMatchObject([
      {
        kind: 'extra',
        fault: 'luks-header',
        impact: 'data-doubtful',
        places: [{ what: 'LUKS header, mk-digest-iter', at: 100 * CLUSTER + 164 }],
      },
    ]);
  });

  test('whose algorithm is not supported is not', async () => {
    expect(await findingsOf(encrypted((luks) => luks.set(new TextEncoder().encode('xyz'), 8)))).toEqual([]);
  });

  test('whose keys end past the end of the file', async () => {
    expect(await findingsOf(encrypted((luks) => put(luks, 104, 4, 100_000)))).toMatchObject([
      { fault: 'luks-header', places: [{ what: 'LUKS header, payload-offset', at: 100 * CLUSTER + 104 }] },
    ]);
  });
});
