/** Opens an image: creates a validated layer from its bytes, and layers from the files that it references. */

import type { ByteSource } from '../../api/device.js';
import type { ImageReference, Openable } from '../../api/openable.js';
import type { OpenOptions } from '../../api/options.js';
import type { RwLock } from '../../engine/async/rw-lock.js';
import { Scratch } from '../../engine/async/scratch.js';
import { CountingSource, newCounters } from '../../engine/layer/counting-source.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import type { FileRole, WaitTracker } from '../../engine/layer/wait-tracker.js';
import { AUTOCLEAR, CRYPT_METHOD, type Header, INCOMPATIBLE } from '../../format/header.js';
import type { ChainFile } from '../../sources/chain-files.js';
import { isByteSource, sourceOf } from '../../sources/openable.js';
import { codecFor } from './codec-for.js';
import { type CacheBudgets, checkedBudgets } from './open-options.js';
import type { LayerOpener, ReferencingFile } from './open-references.js';
import type { OpenedImage } from './opened-image.js';
import { readOwnFile } from './own-file.js';

/**
 * Opens an image and every file of its chain that `options.resolve` returns.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, and what the sources throw; TypeError for an
 *   argument that cannot be opened, and for an option of the wrong type; RangeError for an invalid cache budget.
 */
export async function openImage(openable: Openable, options: OpenOptions = {}): Promise<OpenedImage> {
  const budgets = checkedBudgets(options);
  const { mode = 'read', signal } = options;
  const changing = mode === 'read' ? null : await import('./open-for-changes.js');
  const opening = (await changing?.startChanges(openable, mode, budgets, options)) ?? null;
  const opener = new Opener(options, budgets, openable, opening?.lock ?? null);
  try {
    signal?.throwIfAborted();
    const file = opening?.view ?? openable;
    const source = await opener.openSource(file, isByteSource(openable), { what: 'image', depth: 0 });
    const layer = await opener.openLayer(source);
    const synchronous = layer.source.waited ? null : await import('../../engine/read/synchronous.js');
    const { counters, waitTracker, owned } = opener;
    const changes = await opening?.finish(layer, opener.dataFile, waitTracker);
    return { layer, write: null, repair: null, counters, waitTracker, synchronous, owned, ...changes };
  } catch (error) {
    opening?.release();
    // The first error matters more than a failed close.
    await closeAll(opener.owned).catch(() => {});
    throw error;
  }
}

/**
 * Closes every source, also when one of them fails.
 *
 * @throws the error of the first that failed.
 */
export async function closeAll(sources: readonly ByteSource[]): Promise<void> {
  const closings = await Promise.allSettled(sources.map(async (source) => source.close?.()));
  const failure = closings.find((closing) => closing.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

/** The state that all layers of a chain share while they are opened. */
class Opener implements LayerOpener {
  readonly counters = newCounters();
  readonly waitTracker: WaitTracker = { for: null };
  readonly owned: ByteSource[] = [];
  /** The external data file of the image itself, as `resolve` returned it. */
  dataFile: Openable | null = null;
  readonly files: ChainFile[];
  readonly options: OpenOptions;
  /** The lock of the image itself when it is opened for writing. Files behind it are only read. */
  readonly #lock: RwLock | null;
  readonly #budgets: CacheBudgets;

  constructor(options: OpenOptions, budgets: CacheBudgets, image: Openable, lock: RwLock | null) {
    this.options = options;
    this.#budgets = budgets;
    this.files = [{ openable: image, reference: null }];
    this.#lock = lock;
  }

  /** Returns a counting source for an openable, decorated. It is closed with the image unless the caller keeps it. */
  async openSource(
    openable: Openable,
    keptByCaller: boolean,
    role: FileRole,
    decorate = (source: ByteSource): ByteSource => source,
  ): Promise<CountingSource> {
    const source = await sourceOf(openable, this.options.signal);
    if (!keptByCaller) this.owned.push(source);
    return new CountingSource(decorate(source), this.counters, role, this.waitTracker);
  }

  /** Opens one qcow2 file, then the files that it references. */
  async openLayer(source: CountingSource, parent?: ImageReference): Promise<Qcow2Layer> {
    const { signal } = this.options;
    const { fields, bytes } = await readOwnFile(source, this.#budgets, this.counters, signal);
    const { header, extensions } = fields;
    const depth = parent?.depth ?? 0;
    const lock = parent === undefined ? this.#lock : null;
    const file: ReferencingFile = {
      header,
      extensions,
      bytes,
      parent,
      depth,
      writable: lock !== null,
    };
    const references = referencesFiles(header) ? await import('./open-references.js') : null;
    const { dataReference, data, backingReference, backing } = references
      ? await references.openReferences(this, file, source)
      : { dataReference: null, data: source, backingReference: null, backing: null };
    const encrypted = header.cryptMethod !== CRYPT_METHOD.none;
    const reader = encrypted ? await import('../../engine/layer/encryption.js') : null;
    const encryption = (await reader?.readEncryption(source, header, extensions, signal)) ?? null;
    return {
      kind: 'qcow2',
      depth,
      ...fields,
      data,
      dataReference,
      scratch: new Scratch(),
      codec: await codecFor(header),
      unreadable: encryption?.unreadable ?? null,
      luks: encryption?.luks,
      backingReference,
      backing,
      views: new Set(),
      lock,
      rawData: header.autoclearFeatures.includes(AUTOCLEAR.rawDataFile),
    };
  }
}

/** True if the header references other files. */
function referencesFiles({ incompatibleFeatures, backingFileOffset }: Header): boolean {
  return backingFileOffset !== 0 || incompatibleFeatures.includes(INCOMPATIBLE.dataFile);
}
