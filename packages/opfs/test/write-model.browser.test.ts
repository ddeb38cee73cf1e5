/** Random operations through the worker against a plain array: the engine's writing in a browser, on OPFS. */
import fc from 'fast-check';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { noise } from './support/images.js';
import { clearStorage, firstDifference } from './support/opfs.js';

beforeEach(clearStorage);
afterAll(clearStorage);

const SIZE = 3 * 2 ** 20 + 512;

interface Step {
  kind: 'write' | 'batch' | 'stream' | 'zeroes' | 'unmap' | 'discard' | 'read' | 'flush' | 'reopen';
  at: number;
  length: number;
  seed: number;
}

const range = { at: fc.nat(SIZE - 1), length: fc.oneof(fc.nat(2000), fc.nat(300_000)), seed: fc.nat(1000) };
const step = (...kinds: Step['kind'][]): fc.Arbitrary<Step> => fc.record({ kind: fc.constantFrom(...kinds), ...range });
const steps = fc.oneof(
  { weight: 8, arbitrary: step('write', 'batch', 'read', 'unmap', 'discard') },
  { weight: 3, arbitrary: step('stream', 'zeroes') },
  { weight: 2, arbitrary: step('flush', 'reopen') },
);

const shape = fc.constantFrom(
  { clusterSize: 512 },
  { clusterSize: 65536 },
  { clusterSize: 65536, extendedL2: true },
  { clusterSize: 4096, refcountBits: 64, lazyRefcounts: true },
);

/** Carries the steps out, concurrently up to the next one that has to wait, and compares everything that is read. */
async function run(store: Store, name: string, steps: readonly Step[], options: object): Promise<void> {
  const expected = new Uint8Array(SIZE);
  let image = await store.create(name, { size: SIZE, ...options });
  let busy: Promise<void>[] = [];
  const settle = async (): Promise<void> => {
    await Promise.all(busy);
    busy = [];
  };
  const readInto = async (at: number, length: number): Promise<void> => {
    const wanted = expected.slice(at, at + length);
    const into = new Uint8Array(length);
    await image.read(at, into);
    expect(firstDifference(into, wanted)).toBe(-1);
  };
  for (const step of steps) {
    if (step.kind === 'flush') busy.push(image.flush());
    else if (step.kind === 'reopen') {
      await settle();
      await image.close();
      image = await store.open(name, { mode: 'readwrite' });
    } else {
      const { kind, at, seed } = step;
      const length = Math.min(step.length, SIZE - at);
      const bytes = noise(length, seed);
      const half = Math.floor(length / 2);
      if (kind === 'read') busy.push(readInto(at, length));
      else if (kind === 'write' || kind === 'batch' || kind === 'stream') expected.set(bytes, at);
      else expected.fill(0, at, at + length);
      if (kind === 'write') busy.push(image.write(at, bytes, { transfer: seed % 2 === 0 }));
      if (kind === 'batch') {
        const pieces = [
          { at: at + half, bytes: bytes.subarray(half) },
          { at, bytes: bytes.subarray(0, half) },
        ];
        busy.push(image.writeBatch(pieces));
      }
      if (kind === 'zeroes' || kind === 'unmap') busy.push(image.writeZeroes(at, length, { unmap: kind === 'unmap' }));
      if (kind === 'discard') busy.push(image.discard(at, length));
      if (kind === 'stream') {
        await settle();
        await new Blob([bytes]).stream().pipeTo(image.writable({ start: at }));
      }
    }
  }
  await settle();
  await image.close();
  image = await store.open(name);
  await readInto(0, SIZE);
  expect(await image.check()).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  await image.close();
  await store.remove(name);
}

test('reads return what was written, with any operations in between', async () => {
  const store = await openStore();
  let runs = 0;
  const property = fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 40 }), shape, (chosen, options) =>
    run(store, `disk ${runs++}`, chosen, options),
  );
  await fc.assert(property, { numRuns: 25 });
  await store.close();
});
