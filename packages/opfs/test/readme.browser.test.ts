/** The examples of the READMEs for a page, run as they stand. */
import { afterAll, beforeEach, expect, it } from 'vitest';
import { freeQuota } from '../../../docs/examples/opfs/compact.js';
import { appendLog } from '../../../docs/examples/opfs/create.js';
import { saveAsRaw, upload } from '../../../docs/examples/opfs/export.js';
import { keep } from '../../../docs/examples/opfs/import.js';
import { virtualSize } from '../../../docs/examples/opfs/inline.js';
import { openAnyStore } from '../../../docs/examples/opfs/memory.js';
import { firstSector } from '../../../docs/examples/opfs/open-file.js';
import { personalDisk, save } from '../../../docs/examples/opfs/personal-disk.js';
import { keepDehydrated } from '../../../docs/examples/opfs/rehydrate.js';
import { inspect } from '../../../docs/examples/page.js';
import { host } from '../../core/test/support/http/hosted.js';
import { buildImage } from '../../core/test/support/image-builder.js';
import { openStore } from '../src/index.js';
import { mixedImage, noise } from './support/images.js';
import { bytesOf, clearStorage, firstDifference, targetFile } from './support/opfs.js';

beforeEach(clearStorage);
afterAll(clearStorage);

it('shows size, stored bytes and boot signature of a file', async () => {
  const bytes = new Uint8Array(65_536);
  bytes[510] = 0x55;
  bytes[511] = 0xaa;
  const image = buildImage({ size: 1024 * 1024, clusters: new Map([[0, { kind: 'data', bytes }]]) });
  const shown = await inspect(new File([image.bytes], 'disk.qcow2'));
  expect(shown).toBe('1048576 bytes, 65536 of them stored, signature 85 170');
});

it('starts a disk from a web server, and stores the changes', async () => {
  const base = noise(65_536, 1);
  const built = buildImage({ size: 2 ** 30, clusters: new Map([[0, { kind: 'data', bytes: base }]]) });
  const { url } = await host(built.bytes);
  await save('mine', url, new Blob([noise(200_000, 2)]).stream());
  const expected = new Uint8Array(2 ** 21);
  expected.set(base);
  expected.set([0xeb, 0x63]);
  expected.set(noise(200_000, 2), 4096);
  const { store, disk } = await personalDisk('mine', url, 0);
  const into = new Uint8Array(expected.length);
  await disk.read(0, into);
  expect(firstDifference(into, expected)).toBe(-1);
  await store.close();
});

it('reads the first sector and the size of a file, by either entry', async () => {
  const { file, guest } = await mixedImage();
  expect(await firstSector(file)).toEqual(guest.slice(0, 512));
  expect(await virtualSize(file)).toBe(guest.length);
});

it('makes an image shorter', async () => {
  const store = await openStore();
  const image = await store.create('zeros', { size: 2 ** 20 });
  await image.write(0, new Uint8Array(2 ** 20));
  await image.close();
  expect(await freeQuota(store, 'zeros', new AbortController().signal)).toBeGreaterThanOrEqual(2 ** 20);
  await store.close();
});

it('creates an image, and writes to it again', async () => {
  const store = await openStore();
  await appendLog(store, 'log', 0, 'one ');
  await appendLog(store, 'log', 4, 'two');
  const image = await store.open('log');
  const into = new Uint8Array(8);
  await image.read(0, into);
  expect([image.size, new TextDecoder().decode(into)]).toEqual([2 ** 30, 'one two\0']);
  await store.close();
});

it('imports and exports an image', async () => {
  const store = await openStore();
  const { file, guest } = await mixedImage();
  const abort = new AbortController();
  const options = { signal: abort.signal, onProgress: () => {} };
  expect(await keep(store, 'disk', file.stream(), options)).toBe('kept');
  expect(await keep(store, 'disk', file, options)).toBe('exists');
  abort.abort('enough');
  await expect(keep(store, 'other', file, options)).rejects.toBe('enough');
  const target = await targetFile();
  await saveAsRaw(store, 'disk', target);
  expect(firstDifference(await bytesOf(await target.getFile()), guest)).toBe(-1);
  let sent: Uint8Array | null = null;
  await upload(store, 'disk', async (body) => {
    sent = new Uint8Array(await new Response(body).arrayBuffer());
  });
  expect(firstDifference(sent!, await bytesOf(file))).toBe(-1);
  await store.close();
});

it('stores a dehydrated image', async () => {
  const store = await openStore();
  const { file } = await mixedImage();
  const image = await store.openFile(file);
  await keepDehydrated(store, 'tables', await new Response(image.dehydrate()).blob());
  const again = await store.open('tables');
  expect(again.info).toEqual(image.info);
  expect(await again.check()).toEqual(await image.check());
  await store.close();
});

it('warns of storage that does not last', async () => {
  const warnings: string[] = [];
  const store = await openAnyStore((warning) => warnings.push(warning));
  const expected = store.persistence === 'persistent' ? [] : ['The browser may delete images when space runs out.'];
  expect(warnings).toEqual(expected);
  await store.close();
});
