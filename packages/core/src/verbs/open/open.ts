/** Owns the opening of an image: bytes become a validated layer, and the files it names become the layers behind it. */

import type { ByteSource } from '../../api/device.js';
import type { ImageReference, Openable } from '../../api/openable.js';
import type { OpenOptions } from '../../api/options.js';
import type { RwLock } from '../../engine/async/rw-lock.js';
import { Scratch } from '../../engine/async/scratch.js';
import { ClusterCache } from '../../engine/layer/cluster-cache.js';
import type { Codec } from '../../engine/layer/codec.js';
import { type Counters, CountingSource, newCounters } from '../../engine/layer/counting-source.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { geometryIn, readHeader, readTables } from '../../engine/layer/metadata.js';
import { TableCache } from '../../engine/layer/table-cache.js';
import type { FilePlace, WaitTracker } from '../../engine/layer/wait-tracker.js';
import {
  AUTOCLEAR,
  COMPRESSION_TYPE,
  CRYPT_METHOD,
  diskSizeOf,
  type Header,
  INCOMPATIBLE,
} from '../../format/header.js';
import type { FilePart } from '../../sources/file-parts.js';
import { isByteSource, sourceOf } from '../../sources/openable.js';
import { type CacheBudgets, cacheBudgets } from './cache-budgets.js';
import type { Writing } from './open-for-writing.js';
import type { LayerOpener, NamingFile } from './open-references.js';

/** What carries out the synchronous forms. */
export type Synchronous = typeof import('../../engine/read/synchronous.js');

/** An open image: its layers, and what must be closed with it. */
export interface OpenedImage {
  readonly layer: Qcow2Layer;
  /** Null when the image was opened for reading. */
  readonly write: Writing | null;
  readonly counters: Counters;
  readonly waitTracker: WaitTracker;
  /** Null when the image's own file has made its caller wait: then no synchronous form can be had. */
  readonly synchronous: Synchronous | null;
  /** The sources that opening made or was handed by `resolve`. */
  readonly owned: readonly ByteSource[];
}

/**
 * Opens an image and every file of its chain that `options.resolve` hands over.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, and what the sources throw; TypeError for an
 *   argument that is nothing to open; RangeError for a budget that is none.
 */
export async function openImage(openable: Openable, options: OpenOptions = {}): Promise<OpenedImage> {
  const { mode = 'read', signal } = options;
  if (mode !== 'read' && mode !== 'readwrite') {
    throw new TypeError(`The mode must be 'read' or 'readwrite', not ${JSON.stringify(mode)}.`);
  }
  const budgets = cacheBudgets(options);
  const writing = mode === 'readwrite' ? new (await import('./open-for-writing.js')).WriteOpening(openable) : null;
  const opener = new Opener(options, budgets, openable, writing?.lock ?? null);
  try {
    signal?.throwIfAborted();
    const source = await opener.own(openable, isByteSource(openable), { what: 'image', depth: 0 });
    const layer = await opener.openLayer(source);
    const write = (await writing?.finish(layer, opener.dataFile, budgets, options)) ?? null;
    const synchronous = layer.source.waited ? null : await import('../../engine/read/synchronous.js');
    const { counters, waitTracker, owned } = opener;
    return { layer, write, counters, waitTracker, synchronous, owned };
  } catch (error) {
    writing?.release();
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
class Opener implements LayerOpener {
  readonly counters = newCounters();
  readonly waitTracker: WaitTracker = { for: null };
  readonly owned: ByteSource[] = [];
  /** What was handed over as the external data file of the image itself. */
  dataFile: Openable | null = null;
  readonly files: FilePart[];
  readonly options: OpenOptions;
  /** Of the image itself, when it is opened for writing; the files behind it are only read. */
  readonly #lock: RwLock | null;
  readonly #budgets: CacheBudgets;

  constructor(options: OpenOptions, budgets: CacheBudgets, image: Openable, lock: RwLock | null) {
    this.options = options;
    this.#budgets = budgets;
    this.files = [{ openable: image, reference: null }];
    this.#lock = lock;
  }

  /**
   * The source of what was handed in, decorated and counted; closed with the image unless the caller keeps it.
   */
  async own(
    openable: Openable,
    keptByCaller: boolean,
    place: FilePlace,
    decorate = (source: ByteSource): ByteSource => source,
  ): Promise<CountingSource> {
    const source = await sourceOf(openable, this.options.signal);
    if (!keptByCaller) this.owned.push(source);
    return new CountingSource(decorate(source), this.counters, place, this.waitTracker);
  }

  /** Opens one qcow2 file, then what it names. */
  async openLayer(source: CountingSource, parent?: ImageReference): Promise<Qcow2Layer> {
    const { signal } = this.options;
    const { header, extensions, featureNames, bytes } = await readHeader(source, signal);
    const geometry = geometryIn({ header, extensions }, source.size);
    const { l1, snapshots, bitmaps } = await readTables(source, header, extensions, geometry, signal);
    const hasTables = snapshots.length > 0 || bitmaps.length > 0;
    const depth = parent?.depth ?? 0;
    const lock = parent === undefined ? this.#lock : null;
    const names: NamingFile = {
      header,
      extensions,
      bytes,
      parent,
      depth,
      writable: lock !== null,
    };
    const { dataReference, data, backingReference, backing } = namesOthers(header)
      ? await (await import('./open-references.js')).openReferences(this, names, source)
      : { dataReference: null, data: source, backingReference: null, backing: null };
    const encrypted = header.cryptMethod !== CRYPT_METHOD.none;
    const encryption = encrypted
      ? await (await import('../../engine/layer/encryption.js')).readEncryption(source, header, extensions, signal)
      : null;
    return {
      kind: 'qcow2',
      depth,
      size: diskSizeOf(header),
      header,
      extensions,
      featureNames,
      snapshots,
      tableInfo: hasTables ? await import('../../engine/layer/optional-tables.js') : null,
      bitmaps,
      geometry,
      source,
      data,
      dataReference,
      tables: new TableCache(geometry, source, l1, this.#budgets.l2Bytes, this.counters),
      inflated: new ClusterCache(geometry.clusterSize),
      scratch: new Scratch(),
      counters: this.counters,
      codec: await codecFor(header),
      unreadable: encryption?.unreadable ?? null,
      luks: encryption?.luks,
      backingReference,
      backing,
      lock,
      rawData: header.autoclearFeatures.includes(AUTOCLEAR.rawDataFile),
    };
  }
}

/** Whether the image says that it needs other files. */
function namesOthers({ incompatibleFeatures, backingFileOffset }: Header): boolean {
  return backingFileOffset !== 0 || incompatibleFeatures.includes(INCOMPATIBLE.dataFile);
}

/** Loaded at open, so that no read has to wait for it. */
async function codecFor(header: Header): Promise<Codec> {
  if (header.compressionType === COMPRESSION_TYPE.zstd) {
    const { zstdCodec } = await import('../../codecs/zstd.js');
    return zstdCodec();
  }
  const { deflateCodec } = await import('../../codecs/deflate.js');
  return deflateCodec();
}
