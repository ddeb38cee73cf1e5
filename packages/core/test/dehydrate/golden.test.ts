/** Golden images, dehydrated: `check` and `qemu-img check` report the same, and no guest data is in the file. */
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Extent, Qcow2Image, type Range } from '../../src/index.js';
import { type Golden, loadGolden } from '../golden/golden.js';
import { dehydratedOf, recordsIn, rehydrated, unpacked } from '../support/dehydrated.js';
import { QemuFolder } from '../support/qemu.js';
import { type QemuFigures, qemuChecks } from '../support/qemu-check.js';

const folder = new QemuFolder('dehydrated');

/** What qemu-img says of a copy, beside links to the files that it names. */
function judged({ files, folder: home }: Golden, copy: Uint8Array): QemuFigures | null {
  for (const file of files.map((name) => basename(name))) {
    if (!existsSync(folder.at(file))) symlinkSync(join(home, file), folder.at(file));
  }
  folder.put('copy.qcow2', copy);
  return qemuChecks(folder.path, 'copy.qcow2');
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** What the bitmaps mark that may be read. */
async function marks(image: Qcow2Image): Promise<Range[][]> {
  const readable = image.bitmaps.filter(({ flags }) => !flags.includes('in-use'));
  return Promise.all(readable.map(({ name }) => all(image.dirtyRanges(name))));
}

/** Where guest data are in the file itself: of the disk and of its snapshots, uncompressed. */
async function hostRanges(image: Qcow2Image): Promise<Range[]> {
  const views = await Promise.all(image.snapshots.map(({ id }) => image.openSnapshot({ id })));
  const maps: Extent[][] = await Promise.all([image, ...views].map((view) => all(view.map())));
  const own = maps.flat().filter(({ depth, offset }) => depth === 0 && offset !== undefined);
  return image.info.dataFile === undefined ? own.map(({ offset, length }) => ({ start: offset!, length })) : [];
}

describe.each(loadGolden())('$name', (golden) => {
  const bytes = new Uint8Array(readFileSync(golden.file));

  test('has the same report, information, map, bitmaps and figures of qemu-img afterwards', async () => {
    await using image = await Qcow2Image.open(bytes);
    const copy = await rehydrated(await dehydratedOf(image));
    await using again = await Qcow2Image.open(copy);
    expect(await again.check()).toEqual(await image.check());
    expect(again.info).toEqual(image.info);
    expect(await all(again.map())).toEqual(await all(image.map()));
    expect(await marks(again)).toEqual(await marks(image));
    // With a key of LUKS qemu-img wants the key material, and without one it checks neither.
    expect(judged(golden, copy)).toEqual(qemuChecks(golden.folder, basename(golden.file)));
  });

  test('has no guest data in the file', async () => {
    await using image = await Qcow2Image.open(bytes);
    const records = recordsIn(await unpacked(await dehydratedOf(image)));
    for (const { start, length } of await hostRanges(image)) {
      const touching = records.filter(({ offset, length: of }) => offset < start + length && offset + of > start);
      expect(touching, `guest data at ${start}`).toEqual([]);
    }
  });
});
