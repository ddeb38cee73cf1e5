/** The verbs of snapshots across the real worker, over OPFS. */
import { describe, expect, test } from 'vitest';
import type { Store } from '../src/index.js';
import { withEmptyStore } from './support/empty-store.js';
import { noise } from './support/images.js';
import { firstDifference } from './support/opfs.js';
import { codeOf } from './support/outcomes.js';

const MIB = 2 ** 20;

let store: Store;
withEmptyStore((opened) => {
  store = opened;
});

describe('snapshots', () => {
  test('are taken, renamed, applied and deleted, and the image here follows', async () => {
    await using image = await store.create('disk', { size: 4 * MIB });
    const first = noise(MIB, 1);
    await image.write(0, first);
    const date = new Date('2024-05-06T07:08:09.123Z');
    const taken = await image.createSnapshot('first', { date, vmClock: 2n ** 40n, icount: 7n });
    expect(taken).toMatchObject({ id: '1', name: 'first', dateSec: date.getTime() / 1000 - 0.123, icount: 7 });
    expect(image.snapshots).toEqual([taken]);
    await image.write(0, noise(MIB, 2));
    const view = await image.openSnapshot({ id: '1' });
    expect(firstDifference(await view.read(0, MIB), first)).toBe(-1);
    await image.resize(8 * MIB);
    await image.renameSnapshot('first', 'renamed');
    await image.applySnapshot({ name: 'renamed' });
    expect([image.size, image.info.virtualSize]).toEqual([4 * MIB, 4 * MIB]);
    expect(firstDifference(await image.read(0, MIB), first)).toBe(-1);
    await image.deleteSnapshot('renamed');
    expect(image.snapshots).toEqual([]);
    expect(await codeOf(view.read(0, 512))).toBe('not-found');
    expect(await codeOf(image.openSnapshot('renamed'))).toBe('not-found');
    expect((await image.check({ deep: true })).findings).toEqual([]);
  });

  test('of a name that several have are told apart by their ids', async () => {
    await using image = await store.create('alike', { size: MIB });
    const one = await image.createSnapshot('same');
    const two = await image.createSnapshot('same');
    expect(await codeOf(image.deleteSnapshot('same'))).toBe('ambiguous');
    await image.deleteSnapshot({ id: one.id });
    expect(image.snapshots.map(({ id }) => id)).toEqual([two.id]);
  });
});
