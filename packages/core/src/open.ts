/** Owns the opening of an image: bytes become a validated layer, and the files it names become the layers behind it. */
import { Qcow2Error } from './errors.js';
import { decodeName } from './format/bytes.js';
import { EXTENSION, findExtension, type HeaderExtension } from './format/extensions.js';
import { geometryOf } from './format/geometry.js';
import { AUTOCLEAR, COMPRESSION_TYPE, CRYPT_METHOD, type Header, INCOMPATIBLE } from './format/header.js';
import { MAX_CHAIN_DEPTH } from './format/limits.js';
import { validateBackingFormat, validateTables } from './format/validate.js';
import { ClusterCache } from './io/cluster-cache.js';
import type { Codec } from './io/codec.js';
import { type Counters, counted, newCounters } from './io/counted.js';
import type { ByteSource } from './io/device.js';
import { settled } from './io/done.js';
import type { Layer, Qcow2Layer } from './io/layer.js';
import { probeFormat, readHeader, readTables } from './io/metadata.js';
import type { RwLock } from './io/rw-lock.js';
import { Scratch } from './io/scratch.js';
import { TableCache } from './io/table-cache.js';
import type { Writing } from './open-write.js';
import type { ImageReference, Openable, OpenOptions, Resolved } from './options.js';
import { isByteSource, sourceOf } from './sources/openable.js';

/** L2 tables kept for each layer unless the caller says otherwise: QEMU's figure. */
const L2_BUDGET = 32 * 1024 * 1024;

/** An open image: its layers, and what must be closed with it. */
export interface OpenedImage {
  readonly layer: Qcow2Layer;
  /** Null when the image was opened for reading. */
  readonly write: Writing | null;
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
  const { mode = 'read', signal } = options;
  if (mode !== 'read' && mode !== 'write') {
    throw new TypeError(`The mode must be 'read' or 'write', not ${JSON.stringify(mode)}.`);
  }
  const opening = mode === 'write' ? await import('./open-write.js') : null;
  const opener = new Opener(options, opening?.newLock() ?? null);
  try {
    signal?.throwIfAborted();
    const source = opener.own(openable, isByteSource(openable));
    const layer = await opener.openLayer(source, null, [openable]);
    const write = (await opening?.openWriting(layer, openable, opener.dataFile, options)) ?? null;
    return { layer, write, counters: opener.counters, owned: opener.owned };
  } catch (error) {
    // What went wrong is worth more than whether every file could be let go of.
    await closeAll(opener.owned).catch(() => {});
    throw error;
  }
}

/**
 * Closes every source, also when one of them fails.
 *
 * @throws what the first that failed threw.
 */
export async function closeAll(sources: readonly ByteSource[]): Promise<void> {
  const closings = await Promise.allSettled(sources.map(async (source) => source.close?.()));
  const failure = closings.find((closing) => closing.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

/** One opening: what the layers of a chain share. */
class Opener {
  readonly counters = newCounters();
  readonly owned: ByteSource[] = [];
  /** What was handed over as the external data file of the image itself. */
  dataFile: Openable | null = null;
  readonly #options: OpenOptions;
  /** Of the image itself, when it is opened for writing; the files behind it are only read. */
  readonly #gate: RwLock | null;

  constructor(options: OpenOptions, gate: RwLock | null) {
    this.#options = options;
    this.#gate = gate;
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
    const gate = parent === null ? this.#gate : null;
    const dataReference = dataReferenceOf(header, extensions, parent, depth, gate !== null);
    const backingReference = backingReferenceOf(header, bytes, format, parent, depth);
    const data = dataReference === null ? source : await this.#openData(dataReference, chain);
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
      gate,
      rawData: header.autoclearFeatures.includes(AUTOCLEAR.rawDataFile),
    };
  }

  /**
   * What the caller answers for a reference: the file and, if anyone says, its format. An abort does not wait for the answer.
   * What is in `chain` stays whose it was.
   */
  async #resolve(reference: ImageReference, chain: readonly unknown[]): Promise<ResolvedFile | null> {
    const { resolve, signal } = this.#options;
    if (resolve === undefined) return null;
    const answering = (async () => formatOf(await resolve(reference), reference))();
    try {
      await settled(answering, signal);
      signal?.throwIfAborted();
    } catch (error) {
      // Nobody else lets go of a file that is answered too late.
      const letGo = async () => {
        const late = await answering;
        if (late !== null && !chain.includes(late.openable)) await sourceOf(late.openable).close?.();
      };
      letGo().catch(() => {});
      throw error;
    }
    const answer = await answering;
    if (answer === null) return null;
    return { ...answer, source: this.own(answer.openable, chain.includes(answer.openable)) };
  }

  async #openData(reference: ImageReference, chain: readonly unknown[]): Promise<ByteSource | null> {
    const answer = await this.#resolve(reference, chain);
    if (reference.writable) this.dataFile = answer?.openable ?? null;
    return answer === null ? null : answer.source;
  }

  async #openBacking(reference: ImageReference, chain: readonly unknown[]): Promise<Layer | null> {
    const answer = await this.#resolve(reference, chain);
    if (answer === null) return null;
    const { source } = answer;
    const { name, depth } = reference;
    const details = { what: 'backing file', name, depth };
    if (chain.includes(answer.openable)) {
      throw new Qcow2Error('corrupt', `The backing file "${name}" is part of the chain that leads to it.`, details);
    }
    if (depth >= MAX_CHAIN_DEPTH) {
      throw new Qcow2Error('unsupported', `The chain of backing files is longer than ${MAX_CHAIN_DEPTH}.`, details);
    }
    try {
      const format = answer.format ?? (await probeFormat(source, this.#options.signal));
      if (RAW_FORMATS.includes(format)) return { kind: 'raw', depth, size: source.size, source };
      if (format === 'qcow2') return await this.openLayer(source, reference, [...chain, answer.openable]);
      throw new Qcow2Error('unsupported', `It is of the format "${format}", and only raw and qcow2 are read.`, details);
    } catch (error) {
      throw withinBacking(error, reference);
    }
  }
}

/** A file that the caller handed over, and its format where the caller or the image says one. */
interface ResolvedFile {
  readonly openable: Openable;
  readonly source: ByteSource;
  readonly format: string | undefined;
}

function formatOf(answer: Resolved | undefined, reference: ImageReference): Omit<ResolvedFile, 'source'> | null {
  if (answer === null || answer === undefined) return null;
  const { format } = reference;
  if (typeof answer === 'object' && 'source' in answer && 'format' in answer) {
    return { openable: answer.source, format: answer.format ?? format };
  }
  return { openable: answer, format };
}

/** What images call a raw file: `file` and `host_device` stood there before QEMU told format from protocol. */
const RAW_FORMATS: readonly string[] = ['raw', 'file', 'host_device'];

/** An error from inside a backing file, saying which. */
function withinBacking(error: unknown, { name, depth }: ImageReference): unknown {
  if (!(error instanceof Qcow2Error) || 'layer' in error.details) return error;
  const message = `Backing file "${name}": ${error.message}`;
  return new Qcow2Error(error.code, message, { ...error.details, layer: depth }, { cause: error });
}

function dataReferenceOf(
  header: Header,
  extensions: readonly HeaderExtension[],
  parent: ImageReference | null,
  depth: number,
  writable: boolean,
): ImageReference | null {
  if (!header.incompatibleFeatures.includes(INCOMPATIBLE.dataFile)) return null;
  const extension = findExtension(extensions, EXTENSION.dataFile);
  const name = extension === undefined ? '' : decodeName(extension.data);
  return { kind: 'data', name, format: 'raw', writable, parent, depth: depth + 1 };
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
async function codecFor(header: Header): Promise<Codec> {
  if (header.compressionType === COMPRESSION_TYPE.zstd) {
    const { zstdCodec } = await import('./codecs/zstd.js');
    return zstdCodec();
  }
  const { deflateCodec } = await import('./codecs/deflate.js');
  return deflateCodec();
}

function encryptionOf({ cryptMethod }: Header): Qcow2Error | null {
  if (cryptMethod === CRYPT_METHOD.none) return null;
  const method = cryptMethod === CRYPT_METHOD.aes ? 'AES' : 'LUKS';
  const message = `The disk is encrypted (${method}); encrypted images can be inspected, but not read yet.`;
  return new Qcow2Error('unsupported', message, { what: 'crypt_method', at: 32 });
}
