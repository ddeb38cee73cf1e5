/** Of a sound image salvage changes nothing: the same bytes, the same extents, the same calls of the device. */
import { expect, test } from 'vitest';
import { type Extent, type LostRange, Qcow2Image } from '../../src/index.js';
import { everyKind, extendedImage, oldImage, overlayImage, plainImage, richImage } from '../hostile/bases.js';
import { buildImage } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { RecordingSource } from '../support/recording-source.js';

const IMAGES: Readonly<Record<string, Uint8Array>> = {
  'version 3 with snapshots': richImage().bytes,
  'version 3': plainImage().bytes,
  'version 2': oldImage().bytes,
  'extended L2 entries': extendedImage().bytes,
  'over a backing file': overlayImage().bytes,
  'many tables': buildImage({ clusterBits: 9, size: 3 * 2 ** 20, clusters: everyKind(512) }).bytes,
};

/** What a disk gives as a stream and as a map, and the calls that this takes. */
async function readAll(bytes: Uint8Array, asynchronous: boolean, salvage: boolean) {
  const sources = [
    new RecordingSource(bytes, { asynchronous }),
    new RecordingSource(noiseOf(1, 50_000), { asynchronous }),
  ];
  const resolve = async () => ({ source: sources[1]!, format: 'raw' as const });
  const image = await Qcow2Image.open(sources[0]!, { resolve });
  const lost: LostRange[] = [];
  const options = { salvage, onLost: (range: LostRange) => lost.push(range) };
  const disk = new Uint8Array(await new Response(image.readable(undefined, options)).arrayBuffer());
  const extents: Extent[] = [];
  for await (const extent of image.map(undefined, options)) extents.push(extent);
  return { disk, extents, lost, calls: sources.map(({ calls }) => calls), stats: await image.stats() };
}

test.each(Object.entries(IMAGES))('%s', async (_, bytes) => {
  for (const asynchronous of [false, true]) {
    const plain = await readAll(bytes, asynchronous, false);
    const salvaged = await readAll(bytes, asynchronous, true);
    const { disk, ...rest } = salvaged;
    expect(Buffer.compare(disk, plain.disk)).toBe(0);
    expect(disk.findIndex((byte) => byte !== 0)).toBeGreaterThanOrEqual(0);
    expect(rest).toEqual({ ...plain, disk: undefined });
    expect(rest.lost).toEqual([]);
  }
});
