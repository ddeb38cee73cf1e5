/** Every golden image, read through every source, against what qemu-img says of it. */
import { createHash } from 'node:crypto';
import { openAsBlob, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileSource, nodeHash } from '../../node/index.js';
import {
  type ByteSource,
  type Extent,
  type ImageInfo,
  type Openable,
  Qcow2Image,
  type Range,
} from '../../src/index.js';
import { numbers } from '../support/numbers.js';
import { type Golden, type GoldenWindow, loadGolden, type QemuEncryption, type QemuExtent } from './golden.js';

const goldens = loadGolden();

type SourceKind = 'node file' | 'blob' | 'buffer';

/**
 * Opens a file as one kind of source; what `opened` collects must be closed, since an image leaves to its caller what
 * it was given.
 */
async function sourceOf(kind: SourceKind, file: string, opened: ByteSource[]): Promise<Openable> {
  if (kind === 'blob') return openAsBlob(file);
  if (kind === 'buffer') return new Uint8Array(readFileSync(file));
  const source = fileSource(file);
  opened.push(source);
  return source;
}

/** Opens a golden image with every file it names, lets `work` use it, and closes all. */
async function withImage(golden: Golden, kind: SourceKind, work: (image: Qcow2Image) => Promise<void>): Promise<void> {
  const opened: ByteSource[] = [];
  try {
    await using image = await Qcow2Image.open(await sourceOf(kind, golden.file, opened), {
      resolve: ({ name }) => {
        expect(golden.files).toContain(name);
        return sourceOf(kind, join(golden.folder, basename(name)), opened);
      },
    });
    await work(image);
  } finally {
    for (const source of opened) await source.close?.();
  }
}

/** What qemu-img 7.2 would print: it does not say what is compressed, so it merges what differs in nothing else. */
function asQemuMaps(extents: readonly Extent[]): QemuExtent[] {
  const merged: Extent[] = [];
  for (const extent of extents) {
    const last = merged.at(-1);
    const same =
      last && last.compressed !== extent.compressed && last.offset === undefined && extent.offset === undefined;
    const alike = same && last.depth === extent.depth && last.present === extent.present && last.zero === extent.zero;
    if (alike && last.data === extent.data)
      merged[merged.length - 1] = { ...extent, start: last.start, length: last.length + extent.length };
    else merged.push(extent);
  }
  return merged.map(({ compressed: _, ...rest }) => rest);
}

/** Our info in qemu-img's words. */
function asQemuInforms(info: ImageInfo): Record<string, unknown> {
  return {
    'virtual-size': info.virtualSize,
    'cluster-size': info.clusterSize,
    'dirty-flag': info.dirty,
    encrypted: info.encryption !== undefined,
    'backing-filename': info.backingFile,
    'backing-filename-format': info.backingFormat,
    snapshots: info.snapshots.map((snapshot) => ({
      id: snapshot.id,
      name: snapshot.name,
      'vm-state-size': snapshot.vmStateSize,
      'date-sec': snapshot.dateSec,
      'date-nsec': snapshot.dateNsec,
      'vm-clock-sec': snapshot.vmClockSec,
      'vm-clock-nsec': snapshot.vmClockNsec,
      icount: snapshot.icount ?? undefined,
    })),
    compat: info.compat,
    'compression-type': info.compressionType,
    'lazy-refcounts': info.lazyRefcounts,
    'refcount-bits': info.refcountBits,
    corrupt: info.corrupt,
    'extended-l2': info.extendedL2,
    'data-file': info.dataFile,
    'data-file-raw': info.dataFileRaw,
    bitmaps: info.bitmaps.map(({ name, granularity, flags }) => ({ name, granularity, flags: [...flags] })),
    encryption: info.encryption,
    luks: info.luks,
  };
}

/** qemu-img's info with what it leaves out filled in: it prints the features of version 3 for version 3 alone. */
function qemuInforms({ info }: Golden): Record<string, unknown> {
  const { data } = info['format-specific'];
  return {
    'virtual-size': info['virtual-size'],
    'cluster-size': info['cluster-size'],
    'dirty-flag': info['dirty-flag'],
    encrypted: info.encrypted ?? false,
    'backing-filename': info['backing-filename'],
    'backing-filename-format': info['backing-filename-format'],
    snapshots: info.snapshots ?? [],
    compat: data.compat,
    'compression-type': data['compression-type'] ?? 'zlib',
    'lazy-refcounts': data['lazy-refcounts'] ?? false,
    'refcount-bits': data['refcount-bits'],
    corrupt: data.corrupt ?? false,
    'extended-l2': data['extended-l2'] ?? false,
    'data-file': data['data-file'],
    'data-file-raw': data['data-file-raw'] ?? false,
    bitmaps: data.bitmaps ?? [],
    encryption: data.encrypt?.format,
    luks: data.encrypt?.format === 'luks' ? luksOf(data.encrypt) : undefined,
  };
}

/** What qemu-img says of a LUKS header, its names as ours. */
function luksOf({ slots, ...said }: QemuEncryption): Record<string, unknown> {
  return {
    cipherAlg: said['cipher-alg'],
    cipherMode: said['cipher-mode'],
    ivgenAlg: said['ivgen-alg'],
    ivgenHashAlg: said['ivgen-hash-alg'],
    hashAlg: said['hash-alg'],
    uuid: said.uuid,
    payloadOffset: said['payload-offset'],
    masterKeyIters: said['master-key-iters'],
    slots: slots?.map(({ active, iters, stripes, ...slot }) => ({
      active,
      iters,
      stripes,
      keyOffset: slot['key-offset'],
    })),
  };
}

/** Reads `[start, start + length)` in pieces that fit no cluster. */
async function readOddly(image: Qcow2Image, start: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const piece = 7 * 65_536 + 4_321;
  for (let at = 0; at < length; at += piece)
    await image.read(start + at, bytes.subarray(at, Math.min(at + piece, length)));
  return bytes;
}

/**
 * Random reads, short and long, against the bytes that qemu-img read; each buffer starts dirty, so what is not filled
 * shows.
 */
async function compareRandomReads(image: Qcow2Image, start: number, expected: Uint8Array): Promise<void> {
  const next = numbers(expected.length);
  for (let i = 0; i < 40; i++) {
    const offset = next() % expected.length;
    const length = Math.min(1 + (next() % (i % 4 === 0 ? 300_000 : 5_000)), expected.length - offset);
    const into = new Uint8Array(length).fill(0xee);
    await image.read(start + offset, into);
    const wanted = expected.subarray(offset, offset + length);
    expect(Buffer.compare(into, wanted), `bytes ${start + offset} to ${start + offset + length}`).toBe(0);
  }
}

async function compareBytes(image: Qcow2Image, golden: Golden, windows: readonly GoldenWindow[]): Promise<void> {
  for (const { start, length, file, sha256 } of windows) {
    const bytes = await readOddly(image, start, length);
    expect(createHash('sha256').update(bytes).digest('hex'), `${start} to ${start + length}`).toBe(sha256);
    if (length > 0) await compareRandomReads(image, start, new Uint8Array(readFileSync(join(golden.folder, file))));
  }
}

/** Whether the one window is the whole disk, so that its hash is the disk's. */
function isWhole({ info, windows }: Golden): boolean {
  return windows.length === 1 && windows[0]!.start === 0 && windows[0]!.length === info['virtual-size'];
}

/** The digest of the disk and of each snapshot's. */
async function compareDigests(image: Qcow2Image, golden: Golden): Promise<void> {
  const digest = async (disk: Qcow2Image) =>
    Buffer.from(await disk.digest('SHA-256', { createHash: nodeHash })).toString('hex');
  expect(await digest(image)).toBe(golden.windows[0]!.sha256);
  for (const { id, windows } of golden.snapshots) {
    await using view = await image.openSnapshot({ id });
    expect(windows[0]!.length).toBe(view.size);
    expect(await digest(view), `snapshot ${id}`).toBe(windows[0]!.sha256);
  }
}

async function compareMap(image: Qcow2Image, map: readonly QemuExtent[]): Promise<void> {
  const extents: Extent[] = [];
  for await (const extent of image.map()) extents.push(extent);
  // of an empty disk qemu-img prints one extent of no bytes
  const wanted = map.filter(({ length }) => length > 0).map(({ compressed: _, ...rest }) => rest);
  expect(asQemuMaps(extents)).toEqual(wanted);
}

/** The view of each snapshot, by its id: as the image would be with the snapshot applied. */
async function compareSnapshots(image: Qcow2Image, golden: Golden): Promise<void> {
  for (const { id, map, windows } of golden.snapshots) {
    await using view = await image.openSnapshot({ id });
    expect(view.size).toBe(map.reduce((sum, { length }) => sum + length, 0));
    await compareMap(view, map);
    await compareBytes(view, golden, windows);
  }
}

async function compareBitmaps(image: Qcow2Image, golden: Golden): Promise<void> {
  for (const { name, dirty } of golden.bitmaps) {
    if (dirty === null) {
      await expect(image.dirtyRanges(name).next()).rejects.toMatchObject({ name: 'Qcow2Error', code: 'corrupt' });
      continue;
    }
    const ranges: Range[] = [];
    for await (const range of image.dirtyRanges(name)) ranges.push(range);
    expect(ranges, name).toEqual(dirty);
  }
}

async function expectRefusal(image: Qcow2Image, golden: Golden): Promise<void> {
  const stored = golden.map.find(({ data }) => data)!;
  const read = image.read(stored.start, new Uint8Array(512));
  await expect(read).rejects.toMatchObject({ name: 'Qcow2Error', code: 'unsupported' });
}

test('there are golden images of every feature', () => {
  expect(goldens.length).toBeGreaterThanOrEqual(100);
  expect(goldens.filter(isWhole).length).toBeGreaterThanOrEqual(90);
});

describe.each<SourceKind>(['node file', 'blob', 'buffer'])('through a %s', (kind) => {
  describe.each(goldens)('$name', (golden) => {
    test('info', () =>
      withImage(golden, kind, async (image) => {
        expect(asQemuInforms(image.info)).toEqual(qemuInforms(golden));
      }));

    test('map', () => withImage(golden, kind, (image) => compareMap(image, golden.map)));

    test(golden.unsupported ? 'its bytes are refused' : 'bytes', () =>
      withImage(golden, kind, (image) =>
        golden.unsupported ? expectRefusal(image, golden) : compareBytes(image, golden, golden.windows),
      ),
    );

    if (isWhole(golden)) test('digest', () => withImage(golden, kind, (image) => compareDigests(image, golden)));

    if (golden.snapshots.length > 0) {
      test('snapshots', () => withImage(golden, kind, (image) => compareSnapshots(image, golden)));
    }
    if (golden.bitmaps.length > 0) {
      test('bitmaps', () => withImage(golden, kind, (image) => compareBitmaps(image, golden)));
    }
  });
});
