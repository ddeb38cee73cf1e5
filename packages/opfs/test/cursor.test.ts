/** The worker's end of a cursor: pages of the right size, and nothing left running when it is released. */
import type { Extent } from 'qcow2';
import { isQcow2Error } from 'qcow2';
import { expect, test } from 'vitest';
import { packExtents, unpackExtents } from '../src/protocol/packed-extents.js';
import { ProgressReports } from '../src/worker/calls/progress-reports.js';
import { bytePages, Cursor, ITEMS_PER_PAGE, itemPages, type Pages } from '../src/worker/cursors/cursor.js';

function cursorOf(pages: Pages, controller = new AbortController()): Cursor {
  return new Cursor(1, pages, new ProgressReports(null), controller);
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

test('a fast map fills its pages', async () => {
  const { extents, ended } = endless();
  const cursor = cursorOf(itemPages(extents, packExtents, () => 0));
  for (let page = 0; page < 3; page++) {
    const starts = [...unpackExtents((await cursor.next()) as Float64Array)].map((extent) => extent.start);
    expect(starts).toHaveLength(ITEMS_PER_PAGE);
    expect(starts[0]).toBe(page * ITEMS_PER_PAGE * 512);
  }
  await cursor.release();
  expect(ended()).toBe(true);
});

test('a slow map sends what it has after 50 ms', async () => {
  const { extents } = endless();
  let clock = 0;
  const tick = (): number => {
    clock += 10;
    return clock;
  };
  const cursor = cursorOf(itemPages(extents, packExtents, tick));
  expect([...unpackExtents((await cursor.next()) as Float64Array)]).toHaveLength(6);
  await cursor.release();
});

test('a released cursor aborts what it waits for, and a page that was on its way is closed, not the end', async () => {
  const controller = new AbortController();
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({ pull: () => new Promise(() => {}) });
  const cursor = cursorOf(bytePages(stream), controller);
  const waiting = cursor.next().catch((error: unknown) => error);
  await cursor.release();
  expect(controller.signal.aborted).toBe(true);
  expect(isQcow2Error(await waiting, 'closed')).toBe(true);
});

test('bytes leave in buffers of their own', async () => {
  const large = new Uint8Array(100).fill(7);
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      controller.enqueue(large.subarray(10, 20));
      controller.enqueue(large.slice(0, 30));
      controller.close();
    },
  });
  const cursor = cursorOf(bytePages(stream));
  const sizes = [];
  for (let page = await cursor.next(); page; page = await cursor.next())
    sizes.push([page.length, page.buffer.byteLength]);
  expect(sizes).toEqual([
    [10, 10],
    [30, 30],
  ]);
  expect(large.length).toBe(100);
});

test('the last report of progress arrives before the page that follows it', async () => {
  const arrived: number[] = [];
  const reports = new ProgressReports(async ({ done }) => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    arrived.push(done);
    return true;
  });
  const pages: Pages = {
    next: async () => {
      reports.onProgress?.({ phase: 'map', done: 5, total: 5 });
      return null;
    },
    end: async () => {},
  };
  await new Cursor(1, pages, reports, new AbortController()).next();
  expect(arrived).toEqual([5]);
});
