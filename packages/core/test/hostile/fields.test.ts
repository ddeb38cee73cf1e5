/** One field broken at a time: each image gets a typed error or a correct read, within bounds of time and memory. */
import { beforeAll, describe, expect, test } from 'vitest';
import { put } from '../support/big-endian.js';
import type { BuiltImage } from '../support/image-builder.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuJudges } from '../support/qemu-judges.js';
import { extendedImage, oldImage, overlayImage, plainImage, richImage } from './bases.js';
import { change } from './change.js';
import {
  type Breakage,
  bitmapsExtension,
  commonHeader,
  extensions,
  l1Entries,
  l2Entries,
  snapshotTable,
  subclusterBitmaps,
  versionThreeHeader,
} from './fields.js';
import { handle, type Outcome } from './handle.js';
import { isHarmless, qemuReads } from './oracle.js';
import { bitmapTables, cryptoHeader, cuts, refcounts, snapshotL1 } from './tables.js';

const folder = new QemuFolder('fields');

/** The codes that damage may get; the others of the set mean something else. */
const DAMAGE = ['corrupt', 'unsupported', 'not-qcow2', 'reference-refused'];

const cases: readonly [string, BuiltImage, ((image: BuiltImage) => Breakage[])[]][] = [
  [
    'rich',
    richImage(),
    [
      commonHeader,
      versionThreeHeader,
      extensions,
      bitmapsExtension,
      cryptoHeader,
      snapshotTable,
      snapshotL1,
      bitmapTables,
      refcounts,
      l1Entries,
      l2Entries,
    ],
  ],
  ['plain', plainImage(), [commonHeader, versionThreeHeader, refcounts, l1Entries, l2Entries]],
  ['version 2', oldImage(), [commonHeader, refcounts, l1Entries, l2Entries]],
  ['extended L2', extendedImage(), [l1Entries, l2Entries, subclusterBitmaps]],
];

/** Every step answered, and with a code that is for damage. */
function expectOutcome(outcome: Outcome): void {
  for (const step of [outcome.open, outcome.map, outcome.read]) {
    if (typeof step === 'string' && !['opened', 'mapped', 'not tried'].includes(step)) expect(DAMAGE).toContain(step);
  }
}

/** What was read, of an image that must be readable. */
function bytesOf({ read, messages }: Outcome): Uint8Array {
  if (typeof read === 'string') throw new Error(`nothing was read: ${read}. ${messages.join(' ')}`);
  return read;
}

describe.each(cases)('the %s image', (_, image, generators) => {
  let sound: Uint8Array;
  beforeAll(async () => {
    const outcome = await handle(image.bytes);
    expect(outcome).toMatchObject({ open: 'opened', map: 'mapped', messages: [] });
    sound = bytesOf(outcome);
  });

  const breakages = generators
    .flatMap((generate) => generate(image))
    .map((breakage, index) => ({ ...breakage, judged: qemuJudges(index, 12) }));
  test.each(breakages)('$field = $value: $verdict', async ({ apply, verdict, judged }) => {
    const file = image.bytes.slice();
    apply(file);
    const outcome = await handle(file);
    expectOutcome(outcome);
    await change(file);
    if (judged && verdict === 'answered' && outcome.read instanceof Uint8Array && isHarmless(file)) {
      const wanted = qemuReads(folder, file);
      if (wanted !== null) expect(Buffer.compare(outcome.read, wanted), 'it reads as qemu-img reads it').toBe(0);
    }
    if (verdict === 'refused') expect(outcome.open).not.toBe('opened');
    if (verdict === 'unreadable') expect(outcome.read).not.toBeInstanceOf(Uint8Array);
    if (verdict === 'same') expect(Buffer.compare(bytesOf(outcome), sound)).toBe(0);
  });

  test.each([0, 1, 3, 4, 71, 72, 103, 104, 111, 112, 200, 511, 512, 4095, 4096, 9000, ...cuts(image)])(
    'cut to %i bytes',
    async (length) => {
      expectOutcome(await handle(image.bytes.slice(0, length)));
      await change(image.bytes.slice(0, length));
    },
  );
});

describe('a file that is long enough for every offset', () => {
  const TERABYTE = 2 ** 40;
  const image = richImage();
  const directory = image.extensions[1]! + 8;

  test('reads as before', async () => {
    expect(bytesOf(await handle(image.bytes, TERABYTE))).toHaveLength(16 * 4096);
  });

  // each value is the first beyond a limit of QEMU's, or so large that only a limit can save the memory
  test.each([
    ['l1_size', 36, 4, [0x40_0001, 0x1fff_ffff, 0xffff_ffff]],
    ['refcount_table_clusters', 56, 4, [2049, 0xffff_ffff]],
    ['nb_snapshots', 60, 4, [65_537, 0xffff_ffff]],
    ['extra data size of a snapshot', image.snapshotTable + 36, 4, [1025, 0xffff_ffff]],
    ['nb_bitmaps', directory, 4, [65_536, 0xffff_ffff]],
    ['bitmap_directory_size', directory + 8, 8, [1024 * 65_535 + 1, 2 ** 39]],
    ['backing_file_offset', 8, 8, [4097, 2 ** 39]],
  ] as const)('%s', async (_, at, width, values) => {
    for (const value of values) {
      const file = image.bytes.slice();
      put(file, at, width, value);
      const outcome = await handle(file, TERABYTE);
      expectOutcome(outcome);
      expect(outcome.open, `${value}`).not.toBe('opened');
    }
  });
});

describe('the name of a backing file', () => {
  const image = overlayImage();
  const broken = (edit: (file: Uint8Array, view: DataView) => void): Uint8Array => {
    const file = image.bytes.slice();
    edit(file, new DataView(file.buffer));
    return file;
  };

  test('is passed to resolve, and without a file the read is refused', async () => {
    expect(await handle(image.bytes)).toMatchObject({ open: 'opened', map: 'mapped', read: 'reference-refused' });
  });

  test.each([1024, 4096, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])('of %i bytes is refused', async (length) => {
    const outcome = await handle(broken((_, view) => view.setUint32(16, length)));
    expect(outcome.open).toBe('corrupt');
  });

  test.each([0, 1, 1023])('of %i bytes is accepted', async (length) => {
    expectOutcome(await handle(broken((_, view) => view.setUint32(16, length))));
  });

  test.each([
    ['with a NUL inside', [0x62, 0, 0x61]],
    ['that is not UTF-8', [0xff, 0xfe, 0x80]],
    ['with ../', [0x2e, 0x2e, 0x2f]],
  ])('%s is accepted', async (_, bytes) => {
    expectOutcome(await handle(broken((file) => file.set(bytes, image.backingName))));
  });

  test('with a format of more than 15 bytes is refused', async () => {
    const outcome = await handle(broken((_, view) => view.setUint32(image.extensions[0]! + 4, 16)));
    expect(outcome.open).toBe('corrupt');
  });
});
