/** Bitmaps are in use on the medium before the first guest byte is, and until their bits are there. */
import { afterAll, describe, expect, it } from 'vitest';
import { BITMAP_FLAGS_AT } from '../../src/format/bitmaps.js';
import { Qcow2Image } from '../../src/index.js';
import { crashed, Recorder } from '../support/power-cut.js';
import { QemuFolder } from '../support/qemu-image.js';

const MIB = 1024 * 1024;

describe('the order of a session with bitmaps', () => {
  const folder = new QemuFolder();
  afterAll(() => folder.remove());
  const granularities = { one: 512, two: 65_536 };
  folder.create('cluster_size=512', 8 * MIB, granularities);
  const initial = folder.read();
  const text = new TextDecoder('latin1').decode(initial);
  const entryOf = (name: string) => text.lastIndexOf(name) - 24;
  const flagsAt = Object.keys(granularities).map((name) => entryOf(name) + BITMAP_FLAGS_AT);

  async function session(): Promise<Recorder> {
    const device = new Recorder(initial);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.write(3 * MIB, new Uint8Array(70_000).fill(0xa5));
    await image.flush();
    await image.write(MIB, new Uint8Array(3000).fill(0xa5));
    await image.discard(5 * MIB, MIB);
    await image.close();
    return device;
  }

  it('flags first, alone; then guest bytes; flags off last, alone', async () => {
    const { epochs } = await session();
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

  it('leaves at every moment leaks at most, and no bitmap that says less than was written', {
    timeout: 60_000,
  }, async () => {
    const { epochs } = await session();
    const subsets: ((index: number) => boolean)[] = [
      () => false,
      (index) => index % 2 === 0,
      (index) => index % 2 === 1,
    ];
    const states = epochs.flatMap((_, flushes) => subsets.map((keep) => ({ flushes, keep })));
    for (const { flushes, keep } of states) {
      folder.write(crashed(initial, epochs, flushes, keep));
      expect(folder.check().corruptions, `after ${flushes} flushes`).toBe(0);
      const guest = flushes > 0 && flushes < epochs.length - 2;
      if (guest) for (const { flags } of folder.bitmaps()) expect(flags).toContain('in-use');
    }
    folder.write(crashed(initial, epochs, epochs.length, () => true));
    expect(folder.check()).toEqual({ corruptions: 0, leaks: 0 });
    expect(folder.bitmaps().map(({ flags }) => flags)).toEqual([['auto'], ['auto']]);
  });
});
