/** The power cuts themselves: what a medium may be left with, and that the judge sees an order that is wrong. */
import { describe, expect, test } from 'vitest';
import type { BlockDevice } from '../../src/index.js';
import { get, put } from '../support/big-endian.js';
import { buildImage } from '../support/image-builder.js';
import { DeviceLog } from '../support/recording-device.js';
import { crashEverywhere } from './crash-run.js';
import { CrashWalk } from './crash-states.js';
import type { DiskKind } from './disks.js';
import { Oracle, type TimelineEntry } from './oracle.js';
import type { Recording } from './workloads.js';

const CLUSTER = 4096;
const COPIED = 1n << 63n;

/** Every medium that power cuts at the end of a log can leave, as far as so many tries find them. */
async function leftBy(log: DeviceLog, tries = 600): Promise<Set<string>> {
  const walk = new CrashWalk(log);
  while (walk.next !== undefined) walk.step();
  const left = new Set<string>();
  for (let seed = 0; seed < tries; seed++) {
    await walk.crashed(walk.choose(seed), async (sources) => {
      const texts = sources.map((source) => {
        const bytes = new Uint8Array(source.size);
        source.read([{ at: 0, bytes }]);
        // One letter a sector is enough to tell them apart.
        return Array.from({ length: Math.ceil(bytes.length / 512) }, (_, i) => bytes[i * 512]).join('');
      });
      left.add(texts.join('|'));
    });
  }
  return left;
}

const sectors = (...values: number[]): Uint8Array =>
  Uint8Array.from({ length: values.length * 512 }, (_, i) => values[Math.floor(i / 512)]!);

describe('a medium', () => {
  test('keeps any part of one write, sector by sector', async () => {
    const log = new DeviceLog();
    log.add(sectors(0, 0, 0)).write([{ at: 0, bytes: sectors(1, 1, 1) }]);
    expect([...(await leftBy(log))].sort()).toEqual(['000', '001', '010', '011', '100', '101', '110', '111']);
  });

  test('tears at sector borders, wherever the write begins', async () => {
    const log = new DeviceLog();
    log.add(sectors(0, 0)).write([{ at: 256, bytes: new Uint8Array(512).fill(1) }]);
    const walk = new CrashWalk(log);
    walk.step();
    expect(walk.pendingSectors).toBe(2);
  });

  test('may have the earlier of two writes, the later, or neither', async () => {
    const log = new DeviceLog();
    const device = log.add(sectors(0));
    device.write([{ at: 0, bytes: sectors(1) }]);
    device.write([{ at: 0, bytes: sectors(2) }]);
    expect([...(await leftBy(log))].sort()).toEqual(['0', '1', '2']);
  });

  test('may have a later write without an earlier one', async () => {
    const log = new DeviceLog();
    const device = log.add(sectors(0, 0));
    device.write([{ at: 0, bytes: sectors(1) }]);
    device.write([{ at: 512, bytes: sectors(2) }]);
    expect([...(await leftBy(log))].sort()).toEqual(['00', '02', '10', '12']);
  });

  test('has all flushed writes, and a flush of another device does not flush this one', async () => {
    const log = new DeviceLog();
    const [image, data] = [log.add(sectors(0)), log.add(sectors(0))];
    image.write([{ at: 0, bytes: sectors(1) }]);
    data.write([{ at: 0, bytes: sectors(2) }]);
    image.flush();
    expect([...(await leftBy(log))].sort()).toEqual(['1|0', '1|2']);
  });

  test('may have its old length, or that of any later write or truncation', async () => {
    const log = new DeviceLog();
    const device = log.add(sectors(1, 1));
    device.truncate(512);
    expect([...(await leftBy(log))]).toEqual(expect.arrayContaining(['1', '11']));
    device.flush();
    device.write([{ at: 1024, bytes: sectors(3) }]);
    expect([...(await leftBy(log))].sort()).toEqual(['1', '100', '103']);
  });

  test('is unchanged after a crash state was read', async () => {
    const log = new DeviceLog();
    const device = log.add(sectors(0, 0));
    device.write([{ at: 0, bytes: sectors(1, 1) }]);
    const before = await leftBy(log);
    expect(await leftBy(log)).toEqual(before);
  });
});

describe('the oracle', () => {
  const change = (at: number, value: number): TimelineEntry => ({
    at,
    change: { offset: 2, length: 2, bytes: Uint8Array.of(value, value) },
  });

  test('accepts acknowledged or later data for each byte, and nothing else', () => {
    const oracle = new Oracle(Uint8Array.of(0, 0, 0, 0, 0), [
      change(1, 7),
      { at: 2, change: null },
      change(3, 8),
      change(4, 9),
    ]);
    oracle.advance(0);
    expect(oracle.judge(0, Uint8Array.of(0, 0, 0, 0, 0))).toBeNull();
    expect(oracle.judge(0, Uint8Array.of(0, 0, 7, 0, 0))).toMatch(/guest byte 2 reads as 7/);
    oracle.advance(1);
    expect(oracle.judge(0, Uint8Array.of(0, 0, 7, 0, 0))).toBeNull();
    oracle.advance(2);
    expect(oracle.judge(0, Uint8Array.of(0, 0, 7, 0, 0))).toMatch(/guest byte 3 reads as 0; acknowledged is 7/);
    oracle.advance(4);
    expect(oracle.judge(0, Uint8Array.of(0, 0, 8, 9, 0))).toBeNull();
    expect(oracle.judge(2, Uint8Array.of(7, 6))).toMatch(/guest byte 3 reads as 6/);
    expect(oracle.judge(0, Uint8Array.of(1, 0, 7, 7, 0))).toMatch(/guest byte 0 reads as 1/);
  });

  test('knows one size, or two while it changes, and that what was cut off is zeros when it is there again', () => {
    const size = (at: number, size: number, ended: boolean): TimelineEntry => ({ at, change: { size, ended } });
    const oracle = new Oracle(Uint8Array.of(1, 2, 3, 4, 5), [
      size(1, 3, false),
      change(2, 7),
      size(3, 3, true),
      size(4, 6, false),
      size(5, 6, true),
    ]);
    oracle.advance(2);
    expect(oracle.sizes).toEqual([5, 3]);
    expect(oracle.judge(0, Uint8Array.of(1, 2, 7, 7, 5))).toBeNull();
    oracle.advance(3);
    expect(oracle.sizes).toEqual([3]);
    oracle.advance(4);
    expect(oracle.sizes).toEqual([3, 6]);
    expect(oracle.judge(0, Uint8Array.of(1, 2, 3, 0, 0, 0))).toBeNull();
    expect(oracle.judge(0, Uint8Array.of(1, 2, 3, 4, 0, 0))).toMatch(/guest byte 3 reads as 4/);
    expect(oracle.judge(0, Uint8Array.of(1, 2, 7, 7, 0, 0))).toMatch(/guest byte 3 reads as 7/);
    oracle.advance(5);
    expect(oracle.sizes).toEqual([6]);
    expect(oracle.start.read(0, 6)).toEqual(Uint8Array.of(1, 2, 3, 0, 0, 0));
  });
});

/** An image with one empty table, and the steps by which a guest cluster comes into it. */
function byHand(
  write: (device: BlockDevice, steps: Record<'data' | 'count' | 'entry', () => void>) => void,
): Recording {
  const {
    bytes: image,
    entryAt,
    refcountBlocks,
  } = buildImage({
    clusterBits: 12,
    size: 16 * CLUSTER,
    clusters: new Map([[5, { kind: 'data', bytes: new Uint8Array(CLUSTER).fill(5) }]]),
  });
  const guest = new Uint8Array(16 * CLUSTER);
  guest.fill(5, 5 * CLUSTER, 6 * CLUSTER);
  const log = new DeviceLog();
  const device = log.add(image);
  const host = image.length;
  const data = new Uint8Array(CLUSTER).fill(1);
  const number = (width: 2 | 8, value: bigint): Uint8Array => {
    const bytes = new Uint8Array(width);
    put(bytes, 0, width, value);
    return bytes;
  };
  const timeline: TimelineEntry[] = [{ at: 0, change: { offset: 0, length: CLUSTER, bytes: data } }];
  expect(get(image, entryAt(0), 8)).toBe(0n);
  write(device, {
    data: () => device.write([{ at: host, bytes: data }]),
    count: () => device.write([{ at: refcountBlocks[0]! + (host / CLUSTER) * 2, bytes: number(2, 1n) }]),
    entry: () => device.write([{ at: entryAt(0), bytes: number(8, BigInt(host) | COPIED) }]),
  });
  timeline.push({ at: log.entries.length, change: null });
  const start = { image, data: null, backing: null, guest, snapshot: null };
  const kind: DiskKind = { name: 'by hand', clusterSize: CLUSTER, changes: 1, make: async () => start };
  return { kind, seed: 1, start, log, timeline, touched: [], story: ['0: write 0 4096'] };
}

describe('the judge', () => {
  test('accepts a correct order', async () => {
    const recording = byHand((device, { data, count, entry }) => {
      data();
      count();
      device.flush();
      entry();
      device.flush();
    });
    expect(await crashEverywhere(recording, 400)).toMatchObject({ failure: null });
  });

  test('finds an entry that may be on the medium before its refcount', async () => {
    const recording = byHand((device, { data, count, entry }) => {
      data();
      device.flush();
      count();
      entry();
      device.flush();
    });
    const { failure } = await crashEverywhere(recording, 400);
    expect(failure?.what).toMatch(/copied-set|refcount-low/);
    // The sector of the refcount alone has to be missing.
    expect(failure?.missing).toHaveLength(1);
  });

  test('finds an entry that may be on the medium before its data', async () => {
    const recording = byHand((device, { data, count, entry }) => {
      data();
      count();
      entry();
      device.flush();
    });
    const { failure } = await crashEverywhere(recording, 400);
    expect(failure).not.toBeNull();
  });

  test('finds data that was acknowledged and not flushed', async () => {
    const recording = byHand((device, { data, count, entry }) => {
      data();
      count();
      device.flush();
      entry();
    });
    const { failure } = await crashEverywhere(recording, 400);
    expect(failure?.what).toMatch(/guest byte 0 reads as 0; acknowledged is 1/);
  });
});
