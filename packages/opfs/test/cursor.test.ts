/** The worker's end of a cursor: packets of the right size, and nothing left running when it is released. */
import type { Extent } from 'qcow2';
import { isQcow2Error } from 'qcow2';
import { expect, test } from 'vitest';
import { packExtents, unpackExtents } from '../src/protocol/packed-extents.js';
import { CallReports } from '../src/worker/calls/call-reports.js';
import { bytePackets, Cursor, ITEMS_PER_PACKET, itemPackets, type Packets } from '../src/worker/cursors/cursor.js';

function cursorOf(packets: Packets, controller = new AbortController()): Cursor {
  return new Cursor(1, packets, new CallReports({}), controller);
}

/** Extents without end; says when it was ended. */
function endless(): { extents: AsyncGenerator<Extent>; ended: () => boolean } {
  let ended = false;
  async function* produce(): AsyncGenerator<Extent> {
    try {
      for (let start = 0; ; start += 512) {
        yield { start, length: 512, depth: 0, present: true, zero: false, data: true, compressed: false };
      }
    } finally {
      ended = true;
    }
  }
  return { extents: produce(), ended: () => ended };
}

test('a fast map fills its packets', async () => {
  const { extents, ended } = endless();
  const cursor = cursorOf(itemPackets(extents, packExtents, () => 0));
  for (let packet = 0; packet < 3; packet++) {
    const starts = [...unpackExtents((await cursor.next()) as Float64Array)].map((extent) => extent.start);
    expect(starts).toHaveLength(ITEMS_PER_PACKET);
    expect(starts[0]).toBe(packet * ITEMS_PER_PACKET * 512);
  }
  await cursor.release();
  expect(ended()).toBe(true);
});

test('a slow map sends a smaller packet after 50 ms', async () => {
  const { extents } = endless();
  let clock = 0;
  const tick = (): number => {
    clock += 10;
    return clock;
  };
  const cursor = cursorOf(itemPackets(extents, packExtents, tick));
  expect([...unpackExtents((await cursor.next()) as Float64Array)]).toHaveLength(6);
  await cursor.release();
});

test('a released cursor aborts its read, and its pending packet rejects with closed and is not the end', async () => {
  const controller = new AbortController();
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({ pull: () => new Promise(() => {}) });
  const cursor = cursorOf(bytePackets(stream), controller);
  const waiting = cursor.next().catch((error: unknown) => error);
  await cursor.release();
  expect(controller.signal.aborted).toBe(true);
  expect(isQcow2Error(await waiting, 'closed')).toBe(true);
});

test('bytes are sent in buffers of their own', async () => {
  const large = new Uint8Array(100).fill(7);
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      controller.enqueue(large.subarray(10, 20));
      controller.enqueue(large.slice(0, 30));
      controller.close();
    },
  });
  const cursor = cursorOf(bytePackets(stream));
  const sizes = [];
  for (let packet = await cursor.next(); packet; packet = await cursor.next())
    sizes.push([packet.length, packet.buffer.byteLength]);
  expect(sizes).toEqual([
    [10, 10],
    [30, 30],
  ]);
  expect(large.length).toBe(100);
});

test('the last report of progress arrives before the packet that follows it', async () => {
  const arrived: number[] = [];
  const reports = new CallReports({
    progress: async ({ done }) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      arrived.push(done);
      return true;
    },
  });
  const packets: Packets = {
    next: async () => {
      reports.onProgress?.({ phase: 'map', done: 5, total: 5 });
      return null;
    },
    end: async () => {},
  };
  await new Cursor(1, packets, reports, new AbortController()).next();
  expect(arrived).toEqual([5]);
});
