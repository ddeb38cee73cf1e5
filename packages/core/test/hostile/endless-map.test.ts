/**
 * A map that never has to wait for its source, as when one table is named again and again, lets others have their turn.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Qcow2Image } from '../../src/index.js';
import { repeatingImage } from './repeating-image.js';

test.each([
  ['a buffer', (bytes: Uint8Array<ArrayBuffer>) => bytes],
  ['a Blob', (bytes: Uint8Array<ArrayBuffer>) => new Blob([bytes])],
])('over %s a timer can abort it', async (_, source) => {
  const image = await Qcow2Image.open(source(repeatingImage()));
  // The map's own code is loaded with the first one, and that is a wait.
  await image.map({ start: 0, length: 1 }).next();
  const abort = new AbortController();
  const reason = new Error('enough');
  const timer = sleep(50).then(() => abort.abort(reason));
  const map = image.map(undefined, { signal: abort.signal });
  await expect(map.next()).rejects.toBe(reason);
  await timer;
});

test('closing the image ends a search', async () => {
  const image = await Qcow2Image.open(repeatingImage());
  await image.seekHole(image.size);
  const search = image.seekHole(0).catch((error: unknown) => error);
  await sleep(50);
  await image.close();
  expect(await search).toMatchObject({ name: 'Qcow2Error', code: 'closed' });
});
