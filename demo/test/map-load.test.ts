import { deflateRawSync } from 'node:zlib';
import { type Extent, Qcow2Image } from 'qcow2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROWS } from '../src/map/extent-pages.js';
import { KINDS, kindOf } from '../src/map/kind.js';
import { MapLoad } from '../src/map/map-load.js';
import { makeSample } from '../src/welcome/sample-image.js';

let image: Qcow2Image;
let extents: Extent[];

beforeAll(async () => {
  image = await Qcow2Image.open(await makeSample(async (bytes) => deflateRawSync(bytes)));
  extents = [];
  for await (const extent of image.map()) extents.push(extent);
});
afterAll(() => image.close());

describe('loading a map', () => {
  it('counts every byte of every kind', async () => {
    const map = new MapLoad(image);
    await map.run(image, new AbortController().signal);
    expect(map.state.value).toBe('complete');
    expect(map.allocation.mapped).toBe(image.size);
    for (const kind of KINDS) {
      const expected = extents.filter((extent) => kindOf(extent) === kind).reduce((sum, { length }) => sum + length, 0);
      expect(map.allocation.total(kind), kind).toBe(expected);
    }
  });

  it('gives the same extents page by page', async () => {
    const map = new MapLoad(image);
    await map.run(image, new AbortController().signal);
    expect(map.pages.count).toBe(extents.length);
    const pages: Extent[] = [];
    for (let index = 0; index < map.pages.pageCount; index++) {
      const page = await map.pages.page(index, new AbortController().signal);
      expect(page.length).toBeLessThanOrEqual(ROWS);
      pages.push(...page);
    }
    expect(pages).toEqual(extents);
  });

  it('finds the page of any offset', async () => {
    const map = new MapLoad(image);
    await map.run(image, new AbortController().signal);
    for (const [index, { start, length }] of extents.entries()) {
      expect(map.pages.pageOf(start)).toBe(Math.floor(index / ROWS));
      expect(map.pages.pageOf(start + length - 1)).toBe(Math.floor(index / ROWS));
    }
  });

  it('reports nothing when it is aborted, and the error when it fails', async () => {
    const aborted = new MapLoad(image);
    await aborted.run(image, AbortSignal.abort());
    expect(aborted.state.value).toBe('loading');

    const bytes = await makeSample(async (cluster) => deflateRawSync(cluster));
    const view = new DataView(bytes.buffer);
    const l1At = Number(view.getBigUint64(40));
    view.setBigUint64(l1At, 2n ** 40n); // its only table: far behind the end of the file
    const broken = await Qcow2Image.open(bytes);
    const failed = new MapLoad(broken);
    await failed.run(broken, new AbortController().signal);
    expect(failed.state.value).toMatchObject({ failed: { code: 'corrupt' } });
    await broken.close();
  });
});
