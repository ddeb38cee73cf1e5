/**
 * What closing says of an image whose writes were answered and are lost, and that it lets go of everything all the
 * same.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore, type Store, type WorkerImage } from '../src/index.js';
import { noise } from './support/images.js';
import { clearStorage, targetFile } from './support/opfs.js';
import { codeOf } from './support/outcomes.js';
import { killableWorker, workerWithSmallQuota } from './support/workers.js';

const MIB = 2 ** 20;
/** Eight of them do not fit beside the tables of an image: the first seven are answered at most. */
const PIECE = 128 * 1024;
const PIECES = 8;

let store: Store;
beforeEach(async () => {
  await clearStorage();
  store = await openStore({ worker: workerWithSmallQuota });
});
afterEach(() => store.close());
afterAll(clearStorage);

/** Writes until the quota is spent: what each write came to. */
async function fill(image: WorkerImage): Promise<string[]> {
  const codes: string[] = [];
  for (let step = 0; step < PIECES; step++) codes.push(await codeOf(image.write(step * PIECE, noise(PIECE, step))));
  return codes;
}

const lost = { name: 'Qcow2Error', code: 'no-space' };

/** The image is as it was flushed last, and nothing holds it. */
async function expectReleased(name: string): Promise<void> {
  const again = await store.open(name, { mode: 'readwrite' });
  const into = new Uint8Array(PIECE);
  await again.read(0, into);
  expect(into.every((byte) => byte === 0)).toBe(true);
  await again.close();
  await store.remove(name);
}

describe('an image whose writes exceeded the quota', () => {
  test('rejects its close with the error of the failed write, and is released', async () => {
    const image = await store.create('disk', { size: 8 * MIB });
    const codes = await fill(image);
    expect(codes.slice(0, 4)).toEqual(Array(4).fill('fulfilled'));
    expect(codes).toContain('no-space');
    expect(await codeOf(store.open('disk'))).toBe('locked');
    await expect(image.close()).rejects.toMatchObject(lost);
    await expect(image.close()).rejects.toMatchObject(lost);
    await expectReleased('disk');
  });

  test('resolves its close when a flush has rejected', async () => {
    const image = await store.create('disk', { size: 8 * MIB });
    await fill(image);
    expect(await codeOf(image.flush())).toBe('failed');
    await image.close();
    await expectReleased('disk');
  });

  test('rejects its close when a writable stream failed by it', async () => {
    const image = await store.create('disk', { size: 8 * MIB });
    const bytes = new Blob([noise(4 * MIB, 1)]).stream();
    expect(await codeOf(bytes.pipeTo(image.writable()))).toBe('no-space');
    await expect(image.close()).rejects.toMatchObject(lost);
    await expectReleased('disk');
  });

  test('rejects its close also when an export of it was refused before', async () => {
    const image = await store.create('disk', { size: 8 * MIB });
    await fill(image);
    const to = await targetFile('before');
    expect(await codeOf(image.export({ format: 'raw', to }))).toBe('failed');
    expect(await codeOf(image.temporaryExport({ format: 'raw' }))).toBe('failed');
    await expect(image.close()).rejects.toMatchObject(lost);
    await expectReleased('disk');
  });
});

describe('an image whose worker died', () => {
  test('rejects its close when something was not flushed, and only then', async () => {
    const worker = killableWorker();
    const other = await openStore({ worker: worker.create });
    const written = await other.create('written', { size: MIB });
    const flushed = await other.create('flushed', { size: MIB });
    for (const image of [written, flushed]) await image.write(0, noise(4096, 1));
    await flushed.flush();
    worker.kill();
    expect(await codeOf(written.stats())).toBe('failed');
    expect(await codeOf(written.close())).toBe('failed');
    await flushed.close();
    await other.close();
  });

  test.each([
    ['a compaction that is aborted', (image: WorkerImage) => image.compact({ signal: AbortSignal.abort() }), true],
    ['a resize that is refused', (image: WorkerImage) => image.resize(512), true],
    ['a compaction', (image: WorkerImage) => image.compact(), false],
    ['a resize to the same size', (image: WorkerImage) => image.resize(image.size), false],
  ])('rejects its close after %s unless that has flushed', async (what, verb, isLost) => {
    const worker = killableWorker();
    const other = await openStore({ worker: worker.create });
    // A browser may hold the file of a worker that was killed for a while: each has a name of its own.
    const image = await other.create(what, { size: MIB });
    await image.write(0, noise(4096, 1));
    expect((await codeOf(verb(image))) === 'fulfilled').toBe(!isLost);
    worker.kill();
    expect(await codeOf(image.stats())).toBe('failed');
    expect(await codeOf(image.close())).toBe(isLost ? 'failed' : 'fulfilled');
    await other.close();
  });

  test('resolves its close when the store was closed, which flushed it', async () => {
    const other = await openStore();
    const image = await other.create('disk', { size: MIB });
    await image.write(0, noise(4096, 1));
    await other.close();
    await image.close();
    const again = await store.open('disk');
    const into = new Uint8Array(4096);
    await again.read(0, into);
    expect(into).toEqual(noise(4096, 1));
    await again.close();
  });
});
