/** The worker's service, called without a worker in between: what its protocol promises and the page cannot see. */
import type { Progress } from 'qcow2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildImage } from '../../core/test/support/image-builder.js';
import type { PageSide } from '../src/protocol/messages.js';
import { Service } from '../src/worker/service.js';
import { mixedImage, repeatedImage, scatteredImage } from './support/images.js';
import { clearStorage, packageFiles, targetFile } from './support/opfs.js';

beforeAll(clearStorage);
afterAll(clearStorage);

const nobody: PageSide = {
  resolve: async () => ({ value: undefined }),
  pull: async () => ({ value: null }),
  progress: () => true,
  lost: () => true,
};

/** A call without callbacks. */
const SILENT = { progress: false, lost: false };

async function serviceFor(page: PageSide, file: File): Promise<Service> {
  const service = new Service();
  expect(await service.connect(`test ${crypto.randomUUID()}`, page)).toEqual({ value: undefined });
  expect(await service.open(1, file, { resolves: false, reports: SILENT })).toMatchObject({
    value: expect.anything(),
  });
  return service;
}

test('a response is sent after its last report has been delivered', async () => {
  const arrived: number[] = [];
  const page: PageSide = {
    ...nobody,
    async progress(_call: number, { done }: Progress) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      arrived.push(done);
      return true;
    },
  };
  const { file, guest } = await mixedImage();
  const service = await serviceFor(page, file);
  expect(
    await service.export(2, 1, await targetFile(), { salvage: false, reports: { ...SILENT, progress: true } }),
  ).toEqual({ value: undefined });
  expect(arrived.at(-1)).toBe(guest.length);
  await service.shutdown();
});

test('an aborted cursor stops before it is released', async () => {
  const service = await serviceFor(nobody, scatteredImage(20_000).file);
  await service.openCursor(2, 1, 'map', [undefined, {}], SILENT);
  expect(await service.next(2)).toMatchObject({ value: expect.any(Float64Array) });
  service.abort(2);
  expect(await service.next(2)).toMatchObject({ error: { kind: 'dom', name: 'AbortError' } });
  await service.shutdown();
});

test('shutdown waits until running calls have cleaned up', async () => {
  const service = await serviceFor(nobody, repeatedImage(1024).file);
  const order: unknown[] = [];
  const exporting = service
    .temporaryExport(2, 1, { salvage: false, reports: SILENT })
    .then((outcome) => order.push(outcome));
  await expect.poll(packageFiles).not.toEqual([]);
  await service.shutdown();
  order.push('shutdown');
  await exporting;
  expect(order).toEqual([{ error: expect.objectContaining({ name: 'AbortError' }) }, 'shutdown']);
  expect(await packageFiles()).toEqual([]);
});

test('closing an image frees the cursors of its snapshots', async () => {
  const { bytes } = buildImage({ size: 2 ** 20, snapshots: [{ id: '1', name: 'before' }] });
  const service = await serviceFor(nobody, new File([bytes], 'snapshots.qcow2'));
  expect(await service.openSnapshot(2, 1, 'before')).toMatchObject({ value: expect.anything() });
  for (const [cursor, image] of [
    [3, 1],
    [4, 2],
  ] as const) {
    expect(await service.openCursor(cursor, image, 'readable', [undefined, {}], SILENT)).toEqual({ value: undefined });
  }
  expect(await service.close(1)).toEqual({ value: undefined });
  for (const cursor of [3, 4]) {
    // By these words a cursor is gone; one that is kept says what its disk says.
    const message = expect.stringContaining('while it was being read');
    expect(await service.next(cursor)).toMatchObject({ error: { code: 'closed', message } });
  }
  await service.shutdown();
});

test('an unknown number is closed', async () => {
  const service = await serviceFor(nobody, (await mixedImage()).file);
  service.abort(77);
  expect(await service.release(77)).toEqual({ value: undefined });
  expect(await service.close(77)).toEqual({ value: undefined });
  expect(await service.removeTemporaryExport(77)).toEqual({ value: undefined });
  for (const answer of [
    service.next(77),
    service.invoke(2, 77, 'stats', [], SILENT),
    service.openCursor(3, 77, 'map', [undefined, {}], SILENT),
    service.invoke(4, 77, 'seekData', [0], SILENT),
  ]) {
    expect(await answer).toMatchObject({ error: { kind: 'qcow2', code: 'closed' } });
  }
  await service.shutdown();
});
