/** Owns the opening of an image: bytes become a validated layer, and the files it names become the layers behind it. */
import { Qcow2Error } from './errors.js';
import { type Bitmap, decodeBitmaps } from './format/bitmaps.js';
import { decodeName, hex, viewOf } from './format/bytes.js';
import {
  type BitmapsExtension,
  decodeBitmapsExtension,
  decodeExtensions,
  EXTENSION,
  findExtension,
  type HeaderExtension,
} from './format/extensions.js';
import { type Geometry, geometryOf } from './format/geometry.js';
import {
  AUTOCLEAR,
  COMPRESSION_TYPE,
  CRYPT_METHOD,
  decodeHeader,
  type Header,
  INCOMPATIBLE,
  MAGIC,
} from './format/header.js';
import { IDENTIFY_HEAD_BYTES, IDENTIFY_TAIL_BYTES, identify, isQcow2 } from './format/identify.js';
import { MAX_CHAIN_DEPTH, MAX_CLUSTER_BITS, MAX_SNAPSHOT_TABLE_BYTES, MIN_CLUSTER_BITS } from './format/limits.js';
import { decodeSnapshots, type Snapshot } from './format/snapshots.js';
import {
  validateBackingFormat,
  validateBitmapsExtension,
  validateFeatures,
  validateLayout,
  validateTables,
} from './format/validate.js';
import { ClusterCache } from './io/cluster-cache.js';
import type { Codec } from './io/codec.js';
import { type Counters, counted, newCounters } from './io/counted.js';
import type { ByteSource, Transfer } from './io/device.js';
import type { Layer, Qcow2Layer } from './io/layer.js';
import { Scratch } from './io/scratch.js';
import { TableCache } from './io/table-cache.js';
import type { ImageReference, Openable, OpenOptions, Resolved } from './options.js';
import { isByteSource, sourceOf } from './sources/openable.js';

/** What is read first: the header and, at the usual 64 KiB clusters, all of its cluster. */
const HEAD_BYTES = 64 * 1024;
/** L2 tables kept for each layer unless the caller says otherwise: QEMU's figure. */
const L2_BUDGET = 32 * 1024 * 1024;
/** A first guess at the length of a snapshot's entry, generous so that one read suffices. */
const SNAPSHOT_ENTRY_GUESS = 256;

/** An open image: its layers, and what must be closed with it. */
export interface OpenedImage {
  readonly layer: Qcow2Layer;
  readonly counters: Counters;
  /** The sources that opening made or was handed by `resolve`. */
  readonly owned: readonly ByteSource[];
}

/**
 * Opens an image and every file of its chain that `options.resolve` hands over.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, and what the sources throw; TypeError for an argument
 *   that is nothing to open.
 */
export async function openImage(openable: Openable, options: OpenOptions = {}): Promise<OpenedImage> {
  if (options.mode !== undefined && options.mode !== 'read') {
    throw new TypeError(`The mode must be 'read', not ${JSON.stringify(options.mode)}.`);
  }
  const opener = new Opener(options);
  try {
    options.signal?.throwIfAborted();
    const source = opener.own(openable, isByteSource(openable));
    const layer = await opener.openLayer(source, null, [openable]);
    return { layer, counters: opener.counters, owned: opener.owned };
  } catch (error) {
    for (const source of opener.owned) await source.close?.();
    throw error;
  }
}

/** One opening: what the layers of a chain share. */
class Opener {
  readonly counters = newCounters();
  readonly owned: ByteSource[] = [];
  readonly #options: OpenOptions;

  constructor(options: OpenOptions) {
    this.#options = options;
  }

  /** The source of what was handed in, counted; closed with the image unless the caller keeps it. */
  own(openable: Openable, keptByCaller: boolean): ByteSource {
    const source = sourceOf(openable);
    if (!keptByCaller) this.owned.push(source);
    return counted(source, this.counters);
  }

  /** Opens one qcow2 file, then what it names. `chain` are the files above it and itself, to see a cycle. */
  async openLayer(source: ByteSource, parent: ImageReference | null, chain: readonly unknown[]): Promise<Qcow2Layer> {
    const { signal, cache } = this.#options;
    const { header, extensions, bytes } = await readHeader(source, signal);
    const geometry = geometryOf({
      version: header.version,
      clusterBits: header.clusterBits,
      extendedL2: header.incompatibleFeatures.includes(INCOMPATIBLE.extendedL2),
      externalData: header.incompatibleFeatures.includes(INCOMPATIBLE.dataFile),
    });
    validateTables(header, geometry, source.size);
    const format = validateBackingFormat(findExtension(extensions, EXTENSION.backingFormat));
    const { l1, snapshots, bitmaps } = await readTables(source, header, extensions, geometry, signal);
    const depth = parent?.depth ?? 0;
    const dataReference = dataReferenceOf(header, extensions, parent, depth);
    const backingReference = backingReferenceOf(header, bytes, format, parent, depth);
    const data = dataReference === null ? source : await this.#openData(dataReference);
    const backing = backingReference === null ? null : await this.#openBacking(backingReference, chain);
    return {
      kind: 'qcow2',
      depth,
      size: header.size - (header.size % 512),
      header,
      extensions,
      snapshots,
      bitmaps,
      geometry,
      source,
      data,
      dataReference,
      tables: new TableCache(geometry, source, l1, cache?.l2Bytes ?? L2_BUDGET, this.counters),
      inflated: new ClusterCache(geometry.clusterSize),
      scratch: new Scratch(),
      counters: this.counters,
      codec: await codecFor(header),
      unreadable: encryptionOf(header),
      backingReference,
      backing,
    };
  }

  /** What the caller answers for a reference: the file and, if anyone says, its format. */
  async #resolve(reference: ImageReference): Promise<{ openable: Openable; format: string | undefined } | null> {
    const { resolve, signal } = this.#options;
    const answer: Resolved = resolve === undefined ? null : await resolve(reference);
    signal?.throwIfAborted();
    if (answer === null || answer === undefined) return null;
    if ('source' in answer && 'format' in answer) return { openable: answer.source, format: answer.format };
    return { openable: answer, format: reference.format };
  }

  async #openData(reference: ImageReference): Promise<ByteSource | null> {
    const answer = await this.#resolve(reference);
    return answer === null ? null : this.own(answer.openable, false);
  }

  async #openBacking(reference: ImageReference, chain: readonly unknown[]): Promise<Layer | null> {
    const answer = await this.#resolve(reference);
    if (answer === null) return null;
    const { name, depth } = reference;
    const details = { what: 'backing file', name, depth };
    if (chain.includes(answer.openable)) {
      throw new Qcow2Error('corrupt', `The backing file "${name}" is part of the chain that leads to it.`, details);
    }
    if (depth >= MAX_CHAIN_DEPTH) {
      throw new Qcow2Error('unsupported', `The chain of backing files is longer than ${MAX_CHAIN_DEPTH}.`, details);
    }
    const source = this.own(answer.openable, false);
    try {
      const format = answer.format ?? (await probe(source, this.#options.signal));
      if (RAW_FORMATS.includes(format)) return { kind: 'raw', depth, size: source.size, source };
      if (format === 'qcow2') return await this.openLayer(source, reference, [...chain, answer.openable]);
      throw new Qcow2Error('unsupported', `It is of the format "${format}", and only raw and qcow2 are read.`, details);
    } catch (error) {
      throw withinBacking(error, reference);
    }
  }
}

/** What images call a raw file: `file` and `host_device` stood there before QEMU told format from protocol. */
const RAW_FORMATS: readonly string[] = ['raw', 'file', 'host_device'];

/** A file whose format nobody says is qcow2 by its magic, else raw. */
async function probe(source: ByteSource, signal: AbortSignal | undefined): Promise<string> {
  const head = await readBytes(source, 0, Math.min(8, source.size), signal);
  return isQcow2(head) ? 'qcow2' : 'raw';
}

/** An error from inside a backing file, saying which. */
function withinBacking(error: unknown, { name, depth }: ImageReference): unknown {
  if (!(error instanceof Qcow2Error) || 'layer' in error.details) return error;
  const message = `Backing file "${name}": ${error.message}`;
  return new Qcow2Error(error.code, message, { ...error.details, layer: depth }, { cause: error });
}

/** The first cluster, and what it says. */
async function readHeader(
  source: ByteSource,
  signal: AbortSignal | undefined,
): Promise<{ header: Header; extensions: HeaderExtension[]; bytes: Uint8Array }> {
  let bytes = await readBytes(source, 0, Math.min(HEAD_BYTES, source.size), signal);
  if (!isQcow2(bytes)) throw await notQcow2(source, bytes, signal);
  const version = viewOf(bytes).getUint32(4);
  if (version > 3) {
    throw new Qcow2Error('unsupported', `This is qcow2 of version ${version}; 2 and 3 are known.`, {
      what: 'version',
      at: 4,
    });
  }
  const clusterBits = bytes.length < 24 ? 0 : viewOf(bytes).getUint32(20);
  const firstCluster = Math.min(source.size, 2 ** Math.min(clusterBits, MAX_CLUSTER_BITS));
  if (clusterBits >= MIN_CLUSTER_BITS && firstCluster > bytes.length) {
    bytes = await readBytes(source, 0, firstCluster, signal);
  }
  const header = decodeHeader(bytes);
  validateLayout(header);
  const end = header.backingFileOffset === 0 ? 2 ** header.clusterBits : header.backingFileOffset;
  const extensions = decodeExtensions(bytes, header.headerLength, end);
  validateFeatures(header, extensions);
  return { header, extensions, bytes };
}

async function notQcow2(source: ByteSource, head: Uint8Array, signal: AbortSignal | undefined): Promise<Qcow2Error> {
  const tail = await readBytes(source, Math.max(0, source.size - IDENTIFY_TAIL_BYTES), IDENTIFY_TAIL_BYTES, signal);
  const found = identify(head.subarray(0, IDENTIFY_HEAD_BYTES), tail);
  const message = found === null ? 'This is no qcow2 image.' : `This is no qcow2 image: it is ${found}.`;
  const magic = head.length < 4 ? null : viewOf(head).getUint32(0);
  return new Qcow2Error('not-qcow2', message, { what: 'magic', at: 0, found, magic, expected: MAGIC });
}

/** The L1 table, the snapshot table and the bitmap directory, in one batch. */
async function readTables(
  source: ByteSource,
  header: Header,
  extensions: readonly HeaderExtension[],
  geometry: Geometry,
  signal: AbortSignal | undefined,
): Promise<{ l1: DataView; snapshots: Snapshot[]; bitmaps: Bitmap[] }> {
  const l1 = new Uint8Array(header.l1Size * 8);
  const guess = Math.min(header.snapshotCount * SNAPSHOT_ENTRY_GUESS, source.size, MAX_SNAPSHOT_TABLE_BYTES);
  const table = new Uint8Array(guess);
  const directory = bitmapDirectory(header, extensions, geometry, source.size);
  const entries = new Uint8Array(directory?.directorySize ?? 0);
  const transfers: Transfer[] = [
    { at: header.l1TableOffset, bytes: l1 },
    { at: header.snapshotsOffset, bytes: table },
    { at: directory?.directoryOffset ?? 0, bytes: entries },
  ].filter(({ bytes }) => bytes.length > 0);
  if (transfers.length > 0) await source.read(transfers, signal);
  return {
    l1: viewOf(l1),
    snapshots: await readSnapshots(source, header, table, signal),
    bitmaps: directory === null ? [] : decodeBitmaps(entries, directory.count),
  };
}

/** Where the bitmap directory is; null when there is none, or when the image does not vouch for it. */
function bitmapDirectory(
  header: Header,
  extensions: readonly HeaderExtension[],
  geometry: Geometry,
  fileSize: number,
): BitmapsExtension | null {
  const extension = findExtension(extensions, EXTENSION.bitmaps);
  if (extension === undefined || !header.autoclearFeatures.includes(AUTOCLEAR.bitmaps)) return null;
  const bitmaps = decodeBitmapsExtension(extension);
  validateBitmapsExtension(bitmaps, extension.offset, geometry, fileSize);
  return bitmaps;
}

/** The snapshots, from what was read of their table or, when that was too little, from more of it. */
async function readSnapshots(
  source: ByteSource,
  { snapshotCount, snapshotsOffset }: Header,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Snapshot[]> {
  const most = Math.min(MAX_SNAPSHOT_TABLE_BYTES, Math.max(0, source.size - snapshotsOffset));
  let table = bytes.subarray(0, Math.min(bytes.length, most));
  for (;;) {
    const decoded = decodeSnapshots(table, snapshotCount);
    if (decoded !== null) return decoded.snapshots;
    if (table.length >= most) {
      const message = `The snapshot table at ${hex(snapshotsOffset)} runs past the end of the file or past 64 MiB.`;
      throw new Qcow2Error('corrupt', message, { what: 'snapshot table', at: snapshotsOffset });
    }
    table = await readBytes(source, snapshotsOffset, Math.min(most, table.length * 4), signal);
  }
}

async function readBytes(source: ByteSource, at: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, Math.min(length, source.size - at)));
  if (bytes.length > 0) await source.read([{ at, bytes }], signal);
  return bytes;
}

function dataReferenceOf(
  header: Header,
  extensions: readonly HeaderExtension[],
  parent: ImageReference | null,
  depth: number,
): ImageReference | null {
  if (!header.incompatibleFeatures.includes(INCOMPATIBLE.dataFile)) return null;
  const extension = findExtension(extensions, EXTENSION.dataFile);
  const name = extension === undefined ? '' : decodeName(extension.data);
  return { kind: 'data', name, format: 'raw', writable: false, parent, depth: depth + 1 };
}

function backingReferenceOf(
  header: Header,
  bytes: Uint8Array,
  format: string | undefined,
  parent: ImageReference | null,
  depth: number,
): ImageReference | null {
  const { backingFileOffset: at, backingFileSize: length } = header;
  // A name without a character names nothing: QEMU opens such an image as one without a backing file.
  const name = at === 0 ? '' : decodeName(bytes.subarray(at, at + length));
  return name === '' ? null : { kind: 'backing', name, format, writable: false, parent, depth: depth + 1 };
}

/** Loaded at open, so that no read has to wait for it. */
async function codecFor(header: Header): Promise<Codec | null> {
  if (header.compressionType !== COMPRESSION_TYPE.zlib) return null;
  const { deflateCodec } = await import('./codecs/deflate.js');
  return deflateCodec();
}

function encryptionOf({ cryptMethod }: Header): Qcow2Error | null {
  if (cryptMethod === CRYPT_METHOD.none) return null;
  const method = cryptMethod === CRYPT_METHOD.aes ? 'AES' : 'LUKS';
  const message = `The disk is encrypted (${method}); encrypted images can be inspected, but not read yet.`;
  return new Qcow2Error('unsupported', message, { what: 'crypt_method', at: 32 });
}
