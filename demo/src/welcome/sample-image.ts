/**
 * Generates the sample image: a disk with a history, so that the page has an example of every kind of cluster to show.
 */
import { ascii, FatDisk, SparseDisk } from './sample-disk.js';
import { CLUSTER, type Content, type GuestClusters, layOutImage } from './sample-layout.js';

/** The sample's name when it is opened. */
export const SAMPLE_NAME = 'sample.qcow2';
/** Virtual size, bytes. */
export const SAMPLE_SIZE: number = 64 * 1024 * 1024;

/** Compresses one cluster as raw deflate. */
export type Deflate = (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;

/** When the snapshot of the sample was taken: 22 November 2026, 9 o'clock UTC, in seconds since the epoch. */
const SNAPSHOT_DATE = Date.UTC(2026, 10, 22, 9) / 1000;

const README = `This disk was made in your browser a moment ago.

It is a FAT16 file system inside a qcow2 image: 64 MiB for a guest, of which
only the clusters that hold something take room in the file. LOG.TXT is stored
compressed, the NOISE files as they are. The snapshot "before the log" still has
the disk without LOG.TXT and shares every cluster that did not change since.

Take it away as raw, and mount it.
`;

/** The positions and lengths of the files of random bytes, in clusters. */
const NOISES = [
  { at: 40, clusters: 9 },
  { at: 130, clusters: 22 },
  { at: 268, clusters: 5 },
  { at: 409, clusters: 31 },
  { at: 700, clusters: 12 },
  { at: 903, clusters: 7 },
];
const LOG = { at: 520, clusters: 48 };
/** Runs that the guest has trimmed: marked as zeros in the image. */
const TRIMMED = [
  { at: 60, clusters: 20 },
  { at: 320, clusters: 40 },
  { at: 780, clusters: 64 },
];

/** Generates the sample image: the bytes of a whole qcow2 file. */
export async function makeSample(deflate: Deflate): Promise<Uint8Array<ArrayBuffer>> {
  const fat = new FatDisk(new SparseDisk(SAMPLE_SIZE, CLUSTER), 'SAMPLE');
  fat.add('README.TXT', ascii(README), 0);
  NOISES.forEach(({ at, clusters }, index) => {
    fat.add(`NOISE${index + 1}.BIN`, noise(clusters * CLUSTER - 5000, index + 1), at * CLUSTER);
  });
  const before = fat.disk.blocks();
  fat.add('LOG.TXT', ascii(logText(LOG.clusters * CLUSTER)), LOG.at * CLUSTER);
  const after = fat.disk.blocks();

  const active = new Map<number, Content>();
  const snapshot = new Map<number, Content>();
  for (const [index, bytes] of before) snapshot.set(index, { kind: 'plain', bytes });
  for (const [index, bytes] of after) active.set(index, await contentOf(index, bytes, snapshot, deflate));
  for (const { at, clusters } of TRIMMED) {
    for (let index = at; index < at + clusters; index++) active.set(index, { kind: 'zero' });
  }
  return layOutImage(SAMPLE_SIZE, active, { name: 'before the log', dateSec: SNAPSHOT_DATE, clusters: snapshot });
}

/**
 * The disk's current content of a cluster: the snapshot's own object where nothing changed, a compressed one for the
 * log.
 */
async function contentOf(
  index: number,
  bytes: Uint8Array<ArrayBuffer>,
  snapshot: GuestClusters,
  deflate: Deflate,
): Promise<Content> {
  const old = snapshot.get(index);
  if (old?.kind === 'plain' && isEqual(bytes, old.bytes)) return old;
  if (index < LOG.at) return { kind: 'plain', bytes };
  return { kind: 'deflated', stream: await deflate(bytes) };
}

/** A loop: `every` with a function call for each of some millions of bytes blocks the page. */
function isEqual(bytes: Uint8Array, others: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== others[at]) return false;
  return true;
}

/** Incompressible bytes, the same in every run: a xorshift generator. */
function noise(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed * 0x9e3779b1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

function logText(length: number): string {
  const lines: string[] = [];
  for (let size = 0, line = 0; size < length; line++) {
    const number = String(line).padStart(8, '0');
    const text = `${number} disk0: cluster ${(line * 7919) % 1024} written, ${(line * 31) % 97} ms\r\n`;
    lines.push(text);
    size += text.length;
  }
  return lines.join('').slice(0, length);
}

/** Compresses with the browser's own compressor. */
export async function deflateInBrowser(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
