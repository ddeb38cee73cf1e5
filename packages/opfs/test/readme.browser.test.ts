/** The README's examples for a page, run as they stand. */
import { expect, it } from 'vitest';
import { inspect } from '../../../docs/examples/page.js';
import { personalDisk, save } from '../../../docs/examples/store.js';
import { host } from '../../core/test/support/http/hosted.js';
import { buildImage } from '../../core/test/support/image-builder.js';
import { noise } from './support/images.js';
import { clearStorage, firstDifference } from './support/opfs.js';

it('tells size, stored bytes and boot signature of a file', async () => {
  const bytes = new Uint8Array(65_536);
  bytes[510] = 0x55;
  bytes[511] = 0xaa;
  const image = buildImage({ size: 1024 * 1024, clusters: new Map([[0, { kind: 'data', bytes }]]) });
  const told = await inspect(new File([image.bytes], 'disk.qcow2'));
  expect(told).toBe('1048576 bytes, 65536 of them stored, signature 85 170');
});

it('starts a disk from a web server, and keeps what is changed', async () => {
  await clearStorage();
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
  await clearStorage();
});
