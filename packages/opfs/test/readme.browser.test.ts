/** The README's example for a page, run as it stands. */
import { expect, it } from 'vitest';
import { inspect } from '../../../docs/examples/page.js';
import { buildImage } from '../../core/test/support/image-builder.js';

it('tells size, stored bytes and boot signature of a file', async () => {
  const bytes = new Uint8Array(65_536);
  bytes[510] = 0x55;
  bytes[511] = 0xaa;
  const image = buildImage({ size: 1024 * 1024, clusters: new Map([[0, { kind: 'data', bytes }]]) });
  const told = await inspect(new File([image.bytes], 'disk.qcow2'));
  expect(told).toBe('1048576 bytes, 65536 of them stored, signature 85 170');
});
