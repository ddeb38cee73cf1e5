/** Bitmaps are in use on the medium before the first guest byte is, and until their bits are there. */
import { describe, expect, it } from 'vitest';
import { BITMAP_FLAGS_AT } from '../../src/format/bitmaps.js';
import { Qcow2Image, type Transfer } from '../../src/index.js';
import { crashed, epochsOf } from '../support/power-cut.js';
import { QemuImage } from '../support/qemu-image.js';
import { DeviceLog } from '../support/recording-device.js';

const MIB = 1024 * 1024;

describe('the order of a session with bitmaps', () => {
  const qemu = new QemuImage('bitmap-order');
  const granularities = { one: 512, two: 65_536 };
  qemu.create('cluster_size=512', 8 * MIB, granularities);
  const initial = qemu.read();
  const text = new TextDecoder('latin1').decode(initial);
  const entryOf = (name: string) => text.lastIndexOf(name) - 24;
  const flagsAt = Object.keys(granularities).map((name) => entryOf(name) + BITMAP_FLAGS_AT);

  /** What each flush of a session brought to the medium. */
  async function session(): Promise<Transfer[][]> {
    const log = new DeviceLog();
    const image = await Qcow2Image.open(log.add(initial), { mode: 'readwrite' });
    await image.write(3 * MIB, new Uint8Array(70_000).fill(0xa5));
    await image.flush();
    await image.write(MIB, new Uint8Array(3000).fill(0xa5));
    await image.discard(5 * MIB, MIB);
    await image.close();
    return epochsOf(log);
  }

  it('flags first, alone; then guest bytes; flags off last, alone', async () => {
    const epochs = await session();
    const written = epochs.filter((epoch) => epoch.length > 0);
    for (const end of [written[0]!, written.at(-1)!]) {
      expect(end.map(({ at, bytes }) => [at, bytes.length])).toEqual(flagsAt.map((at) => [at, 4]));
    }
    expect(written[0]!.map(({ bytes }) => [...bytes])).toEqual(flagsAt.map(() => [0, 0, 0, 3]));
    expect(written.at(-1)!.map(({ bytes }) => [...bytes])).toEqual(flagsAt.map(() => [0, 0, 0, 2]));
    expect(
      written
        .slice(1, -1)
        .flat()
        .some(({ at }) => flagsAt.includes(at)),
    ).toBe(false);
  });

  it('leaves at most leaks at every moment, and no bitmap that misses a write', {
    timeout: 60_000,
  }, async () => {
    const epochs = await session();
    const subsets: ((index: number) => boolean)[] = [
      () => false,
      (index) => index % 2 === 0,
      (index) => index % 2 === 1,
    ];
    const states = epochs.flatMap((_, flushes) => subsets.map((keep) => ({ flushes, keep })));
    for (const { flushes, keep } of states) {
      qemu.write(crashed(initial, epochs, flushes, keep));
      expect(qemu.check().corruptions, `after ${flushes} flushes`).toBe(0);
      const guest = flushes > 0 && flushes < epochs.length - 2;
      if (guest) for (const { flags } of qemu.bitmaps()) expect(flags).toContain('in-use');
    }
    qemu.write(crashed(initial, epochs, epochs.length, () => true));
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    expect(qemu.bitmaps().map(({ flags }) => flags)).toEqual([['auto'], ['auto']]);
  });
});
