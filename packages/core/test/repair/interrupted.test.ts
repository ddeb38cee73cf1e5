/** A repair that a power cut ends after it gave the file a refcount table: the next one says what led to its place. */
import { expect, test } from 'vitest';
import { bufferDevice } from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { CrashWalk } from '../crash/crash-states.js';
import { get, put } from '../support/big-endian.js';
import { buildImage, filled } from '../support/image-builder.js';
import { DeviceLog } from '../support/recording-device.js';
import { isLost } from './what-was-left.js';

const CLUSTER = 65_536;

test.each([
  ['cut off', 3, null],
  ['cut off', 2, null],
  ['at 0', 3, [48, 8, 0]],
  ['at 0', 2, [48, 8, 0]],
  ['of no clusters', 3, [56, 4, 0]],
  ['of a wrong width', 3, [96, 4, 9]],
] as const)('a refcount table %s, version %d', async (_, version, field) => {
  for (const snapshots of [[], [{ id: '1', name: 'one' }]]) {
    const clusters = new Map([0, 1].map((cluster) => [cluster, filled(cluster + 1)] as const));
    const image = buildImage({ version, size: 64 * 2 ** 20, clusters, snapshots });
    const end = field === null ? image.refcountTable : image.bytes.length;
    const entry = image.entryAt(5);
    put(image.bytes, entry, 8, BigInt(end) | (1n << 63n));
    if (field !== null) put(image.bytes, field[0], field[1], field[2]);
    const log = new DeviceLog();
    await repairDevice(log.add(image.bytes.slice(0, end)), { fix: 'all' });
    const walk = new CrashWalk(log);
    for (; ; walk.step()) {
      for (let seed = 0; seed < 4; seed++) {
        const wrong = await walk.crashed(walk.choose(seed * 1000 + walk.position), async ([source]) => {
          const state = new Uint8Array(source!.size);
          await source!.read([{ at: 0, bytes: state }]);
          const device = bufferDevice(state);
          const report = await repairDevice(device, { fix: 'all' });
          expect(report.after.findings).toEqual([]);
          const isRemoved = get(state, entry, 8) === 0n || isLost(report, 5, CLUSTER);
          return isRemoved && get(device.bytes(), entry, 8) === 0n ? null : 'the entry stays';
        });
        expect(wrong, `entry ${walk.position} of ${log.entries.length}, seed ${seed}`).toBeNull();
      }
      if (walk.next === undefined) break;
    }
  }
});
