/**
 * Reading all bits of a bitmap of an image that is written, on a device that never waits: timers, and so aborts, get
 * their turn.
 */
import { expect, it } from 'vitest';
import { type BlockDevice, bufferDevice, Qcow2Image } from '../../src/index.js';
import { QemuImage } from '../support/qemu-image.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** Four reads of 1 MiB at a granularity of 512. */
const SIZE = 16 * GIB;
/** Guest bytes of which one cluster of bits tells. */
const STRETCH = 256 * MIB;

const qemu = new QemuImage('bitmap-yield');

/** A device that reads large batches as slowly as a disk does, without a promise; counts them. */
function busyDevice(bytes: Uint8Array): BlockDevice & { large: number } {
  const memory = bufferDevice(bytes);
  return {
    large: 0,
    get size() {
      return memory.size;
    },
    read(transfers) {
      memory.read(transfers);
      if (transfers.reduce((sum, each) => sum + each.bytes.length, 0) < MIB) return;
      this.large++;
      for (const end = Date.now() + 40; Date.now() < end; );
    },
    write: (transfers) => memory.write(transfers),
    truncate: (size) => memory.truncate(size),
    flush: () => memory.flush(),
  };
}

it('an abort ends the read before all bits are read', async () => {
  qemu.create('cluster_size=65536', SIZE, { one: 512 });
  const device = busyDevice(qemu.read());
  const image = await Qcow2Image.open(device, { mode: 'readwrite' });
  for (let at = 0; at < SIZE; at += STRETCH) await image.write(at, new Uint8Array(512).fill(1));
  await image.dirtyRanges('one').next();
  expect(device.large).toBe(4);
  const controller = new AbortController();
  const reason = new Error('enough');
  setTimeout(() => controller.abort(reason), 0);
  await expect(image.dirtyRanges('one', { signal: controller.signal }).next()).rejects.toBe(reason);
  expect(device.large).toBeLessThan(8);
  await image.close();
});
