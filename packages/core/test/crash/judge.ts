/** Judges an image that a crash left: it must open, its references must be sound, and its bytes those of the oracle. */
import { type ByteSource, type Finding, Qcow2Image, type Resolved } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { put } from '../support/big-endian.js';
import { SECTOR } from '../support/power-cut.js';
import { clustersWrittenInPlace } from './in-place.js';
import { judgeBitmaps, judgeMarks, type Marks, marksOf } from './judge-bitmaps.js';
import type { Oracle } from './oracle.js';

/** How many bytes of a large disk are read beyond those that a workload touches. */
const SAMPLE = 128 * 1024;
/** A disk up to this long is read whole. */
const WHOLE = 1024 * 1024;

/** What a crash has left, and what it is judged by. */
export interface Case {
  /** The image's file, and its data file when it has one. */
  readonly sources: readonly ByteSource[];
  readonly backing: Uint8Array | null;
  /** The image's file before the workload. */
  readonly start: Uint8Array;
  readonly oracle: Oracle;
  /** The guest bytes of the snapshot, which nothing may change. */
  readonly snapshot: Uint8Array | null;
  /** The parts of the disk that the workload touches. */
  readonly touched: readonly { readonly offset: number; readonly length: number }[];
  /** Picks what else is read of a large disk. */
  readonly seed: number;
}

/** What is wrong with the image; null when nothing is. */
export async function judge(left: Case): Promise<string | null> {
  try {
    return (await judgeReferences(left)) ?? (await judgeBytes(left)) ?? (await judgeSnapshot(left));
  } catch (error) {
    return `it cannot be read: ${error instanceof Error ? error.stack : error}`;
  }
}

async function judgeReferences({ sources }: Case): Promise<string | null> {
  const { report, context } = await checkSource(sources[0]!);
  const dirty = context.header.incompatibleFeatures.includes(0);
  const wrong = report.findings.filter((finding) => !isHarmless(finding, dirty));
  if (wrong.length > 0) {
    return wrong
      .flatMap(({ fault, places }) => places.map((place) => ({ fault, ...place })))
      .slice(0, 5)
      .map(({ fault, what, at, message }) => `${fault} at ${what} (${at}): ${message}`)
      .join('\n');
  }
  if (!dirty) return null;
  // Once it is repaired the counts are what the references are: nothing that is written in place may have two.
  const max = 1 + context.header.snapshotCount;
  for await (const cluster of clustersWrittenInPlace(sources[0]!, context)) {
    const count = context.references.get(cluster);
    if (count > max) return `cluster ${cluster} is referenced ${count} times`;
  }
  return null;
}

/** Leaks are; so is an entry that is only slower. The refcounts of a dirty image are anything until it is repaired. */
function isHarmless({ kind, fault }: Finding, dirty: boolean): boolean {
  if (kind === 'leak' || fault === 'copied-missing') return true;
  return dirty && (fault === 'refcount-low' || fault === 'copied-set');
}

const KNOWN_AUTOCLEAR: readonly number[] = [0, 1];

async function judgeBytes({ sources, backing, start, oracle, touched, seed }: Case): Promise<string | null> {
  const image = await Qcow2Image.open(sources[0]!, { resolve: async ({ kind }) => fileOf(kind, sources, backing) });
  const { size } = image;
  if (!oracle.sizes.includes(size)) return `the disk has ${size} bytes, not ${oracle.sizes.join(' or ')}`;
  // An unknown autoclear bit says that no program has changed the image that does not know the bit.
  const untouched = image.info.features.some(({ kind, bit }) => kind === 'autoclear' && !KNOWN_AUTOCLEAR.includes(bit));
  if (untouched && size !== oracle.startSize) return 'the size has changed, and an unknown autoclear bit is still on';
  const marks = await judgeMarks(image, await startMarks(start), Math.min(size, oracle.least));
  if (marks !== null) return marks;
  for (const { offset, length } of rangesOf(size, touched, seed)) {
    const bytes = new Uint8Array(length).fill(0xee);
    await image.read(offset, bytes);
    const wrong = oracle.judge(offset, bytes);
    if (wrong !== null) return wrong;
    const before = oracle.start.read(offset, length);
    const unmarked = await judgeBitmaps(image, offset, bytes, before);
    if (unmarked !== null) return unmarked;
    if (untouched && Buffer.compare(bytes, before) !== 0) {
      return 'the disk has changed, and an unknown autoclear bit is still on';
    }
  }
  return null;
}

const marksAtStart = new WeakMap<Uint8Array, Marks>();

async function startMarks(start: Uint8Array): Promise<Marks> {
  const marks =
    marksAtStart.get(start) ?? (await marksOf(await Qcow2Image.open(start, { resolve: async () => undefined })));
  marksAtStart.set(start, marks);
  return marks;
}

/** What of a disk is read: all of a small one, else what the workload touches, and a part that `seed` picks. */
function rangesOf(size: number, touched: Case['touched'], seed: number): Case['touched'] {
  if (size <= WHOLE) return [{ offset: 0, length: size }];
  const sample = (seed * 4096) % Math.max(1, size - SAMPLE);
  return [...touched, { offset: sample, length: SAMPLE }, { offset: size - SAMPLE, length: SAMPLE }]
    .filter(({ offset }) => offset < size)
    .map(({ offset, length }) => wholeSectors(offset, Math.min(offset + length, size)));
}

/** Bitmaps mark no part of a sector, and disks end with one. */
function wholeSectors(start: number, end: number): { offset: number; length: number } {
  const offset = start - (start % SECTOR);
  return { offset, length: Math.ceil(end / SECTOR) * SECTOR - offset };
}

function fileOf(kind: 'backing' | 'data', sources: readonly ByteSource[], backing: Uint8Array | null): Resolved {
  return kind === 'data' ? sources[1]! : (backing ?? undefined);
}

/** The disk of the first snapshot: the image opens as that disk when its header names the snapshot's L1 table. */
async function judgeSnapshot({ sources, backing, snapshot }: Case): Promise<string | null> {
  if (snapshot === null) return null;
  const [file] = sources;
  const place = new Uint8Array(8);
  const entry = new Uint8Array(12);
  await file!.read([{ at: 64, bytes: place }]);
  await file!.read([{ at: Number(new DataView(place.buffer).getBigUint64(0)), bytes: entry }]);
  const view: ByteSource = {
    size: file!.size,
    read(transfers, signal) {
      const done = file!.read(transfers, signal);
      for (const { at, bytes } of transfers) if (at === 0) putDisk(bytes, entry, snapshot.length);
      return done;
    },
  };
  const image = await Qcow2Image.open(view, { resolve: async ({ kind }) => fileOf(kind, sources, backing) });
  const bytes = new Uint8Array(snapshot.length);
  await image.read(0, bytes);
  if (Buffer.compare(bytes, snapshot) === 0) return null;
  const wrong = bytes.findIndex((byte, index) => byte !== snapshot[index]);
  return `byte ${wrong} of the snapshot reads as ${bytes[wrong]}, not as ${snapshot[wrong]}`;
}

/** Puts a snapshot's `l1_table_offset`, `l1_size` and disk size into the header's fields, at 40, 36 and 24. */
function putDisk(header: Uint8Array, entry: Uint8Array, size: number): void {
  if (header.length < 48) return;
  put(header, 24, 8, size);
  header.set(entry.subarray(0, 8), 40);
  header.set(entry.subarray(8, 12), 36);
}
