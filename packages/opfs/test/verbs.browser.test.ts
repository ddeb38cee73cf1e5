/** A row of the table and a method of the engine are a verb: everything else about crossing comes with the row. */
import type { Disk, OperationOptions, Progress, Range } from 'qcow2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Store, WorkerImage } from '../src/index.js';
import { splitArguments } from '../src/protocol/verb-arguments.js';
import { VERBS, type VerbTable } from '../src/protocol/verbs.js';
import { type AddedVerbs, isStampError } from './support/added-verbs.js';
import { clearStorage } from './support/opfs.js';
import { killableWorker, workerWithAddedVerbs } from './support/workers.js';

let store: Store;
beforeAll(async () => {
  await clearStorage();
  // Only now: the methods of an image are made of the rows that are there.
  const { openStore } = await import('../src/index.js');
  store = await openStore({ worker: workerWithAddedVerbs });
});
afterAll(async () => {
  await store.close();
  await clearStorage();
});

/** An image that says it is dirty once its metadata have been written. */
async function newImage(name: string): Promise<WorkerImage & AddedVerbs> {
  return (await store.create(name, { size: 2 ** 20, lazyRefcounts: true })) as WorkerImage & AddedVerbs;
}

test('an added verb works with its arguments, result, progress and state', async () => {
  await using image = await newImage('stamped');
  expect(image.info.dirty).toBe(false);
  const reports: Progress[] = [];
  const bytes = new Uint8Array(100).fill(7);
  const result = await image.stamp(bytes, { onProgress: (progress) => reports.push(progress) });
  expect(result).toEqual({ stamped: 100 });
  expect(reports.map(({ done }) => done)).toEqual([0, 100]);
  expect(image.info.dirty).toBe(true);
  const into = new Uint8Array(100);
  await image.read(0, into);
  expect(into).toEqual(bytes);
  // In place: nothing that the image says of itself is another, and no state crosses.
  const { info } = image;
  await image.stamp(bytes);
  expect(image.info).toBe(info);
});

test('its error keeps class, code and details, and its other options are sent', async () => {
  await using image = await newImage('failed');
  const error = await image.stamp(new Uint8Array(1), { fail: true }).catch((thrown: unknown) => thrown);
  expect(isStampError(error)).toBe(true);
});

test('it is aborted with the same reason object, also by a callback that throws', async () => {
  await using image = await newImage('endured');
  const controller = new AbortController();
  const reason = { enough: true };
  const enduring = image.endure({ signal: controller.signal, onProgress: () => controller.abort(reason) });
  await expect(enduring).rejects.toBe(reason);
  const thrown = new Error('thrown by the callback');
  const throwing = (): never => {
    throw thrown;
  };
  await expect(image.endure({ onProgress: throwing })).rejects.toBe(thrown);
  await expect(image.endure({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

test('its items are sent in packets, in order, and can be left early', async () => {
  await using image = await newImage('counted');
  const ranges: Range[] = [];
  const reports: number[] = [];
  const options = { from: 10, onProgress: ({ done }: Progress) => reports.push(done) };
  for await (const range of image.count(10_000, options)) ranges.push(range);
  expect(ranges).toHaveLength(10_000);
  expect(ranges.every(({ start, length }, index) => start === 10 + index && length === 1)).toBe(true);
  expect(reports).toEqual([10_000]);
  for await (const { start } of image.count(10_000)) if (start > 5) break;
});

test('it is refused after close, and counts as unflushed until a flush when its worker dies', async () => {
  const { openStore } = await import('../src/index.js');
  const image = await newImage('closed');
  await image.close();
  await expect(image.stamp(new Uint8Array(1))).rejects.toMatchObject({ code: 'closed' });
  for (const flushed of [true, false]) {
    const { create, kill } = killableWorker(workerWithAddedVerbs);
    const other = await openStore({ worker: create });
    const written = (await other.create(`lost ${flushed}`, { size: 2 ** 20 })) as WorkerImage & AddedVerbs;
    await written.stamp(new Uint8Array(1));
    if (flushed) await written.flush();
    kill();
    await expect(written.seekData(0)).rejects.toMatchObject({ code: 'failed' });
    if (flushed) await written.close();
    else await expect(written.close()).rejects.toMatchObject({ code: 'failed' });
    await other.close();
  }
});

test('only declared arguments are sent, without signal and callbacks', () => {
  const signal = AbortSignal.abort();
  const onProgress = (): void => {};
  const onLost = (): void => {};
  const row = { kind: 'value', arguments: 2, options: true } as const;
  const salvage = { ...row, salvage: true } as const;
  expect(splitArguments(salvage, [1, undefined, { signal, onProgress, onLost, fix: 'all' }, 'more'])).toEqual({
    args: [1, undefined, { fix: 'all' }],
    options: { signal, onProgress, onLost },
  });
  expect(splitArguments(row, [1])).toEqual({ args: [1, undefined, {}], options: {} });
  expect(splitArguments({ ...row, options: false }, [1, 2, onProgress])).toEqual({ args: [1, 2], options: {} });
  expect(() => splitArguments(row, [1, 2, { signal, use: onProgress }])).toThrow(/^The option "use" is a function/);
  expect(() => splitArguments(row, [1, 2, { onLost }])).toThrow(/^The option "onLost" is a function/);
});

/** What the compiler says of rows that do not fit: a comment that expects no error is one itself. */
export function typesOfRows(): unknown[] {
  interface Grown extends Disk {
    mend(options: { fix: 'all' } & OperationOptions): Promise<number>;
    trim(length: number): Promise<void>;
  }
  const validate = (): void => {};
  const trim = { kind: 'change', arguments: 1, options: false, validate } as const;
  const mend = { kind: 'change', arguments: 0, options: true, validate } as const;
  const whole: VerbTable<Grown> = { ...VERBS, mend, trim };
  // @ts-expect-error: a verb without a row
  const missing: VerbTable<Grown> = { ...VERBS, mend };
  // @ts-expect-error: a row without a verb
  const unknown: VerbTable<Grown> = { ...VERBS, mend, trim, fly: trim };
  // @ts-expect-error: another number of arguments
  const miscounted: VerbTable<Grown> = { ...VERBS, mend, trim: { ...trim, arguments: 2 } };
  // @ts-expect-error: its options have a signal
  const deaf: VerbTable<Grown> = { ...VERBS, trim, repair: { ...mend, options: false, arguments: 1 } };
  // @ts-expect-error: it returns no items
  const iterated: VerbTable<Grown> = { ...VERBS, mend, trim: { ...trim, kind: 'items', packing: VERBS.map.packing } };
  // @ts-expect-error: its items are extents
  const mispacked: VerbTable = { ...VERBS, map: { ...VERBS.map, packing: VERBS.dirtyRanges.packing } };
  // @ts-expect-error: its options have `onLost`
  const silent: VerbTable = { ...VERBS, readable: { ...VERBS.readable, salvage: undefined } };
  return [whole, missing, unknown, miscounted, deaf, iterated, mispacked, silent];
}
