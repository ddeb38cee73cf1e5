/**
 * Makes an image file as short as it can be: moves what lies at its end into free clusters before it, removes what
 * maps or counts nothing, and cuts the end off. It runs in slices, each of which leaves the image whole; requests run
 * between them. What a request has changed meanwhile is left for the next round.
 */
import type { CompactReport } from '../../api/info.js';
import type { OperationOptions } from '../../api/options.js';
import { progressOf } from '../../engine/async/progress.js';
import type { Steps } from '../../engine/async/steps.js';
import { cutFileEnd } from '../../engine/write/file-end.js';
import { settle } from '../../engine/write/settle.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import type { Writer } from '../../engine/write/writer.js';
import { Qcow2Error } from '../../errors.js';
import { CRYPT_METHOD } from '../../format/header.js';
import { unmapPastEnd } from '../resize/unmap-past-end.js';
import { dropEmptyTables, findUnits } from './find-units.js';
import { type Layout, layoutOf } from './layout.js';
import { freeLeaks } from './leaks.js';
import { type Moved, moveClusters } from './move-clusters.js';
import { dropEmptyBlocks, moveBlock, packRefcountTable } from './move-refcounts.js';
import { moveStreams } from './move-streams.js';
import { moveTable } from './move-tables.js';
import { MAX_WORDS } from './unit-collector.js';
import type { MovedCluster } from './units.js';

/** Bytes that one slice copies: reads and writes wait that long. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** The most clusters, or streams, of a slice. */
const BATCH_UNITS = 4096;
/** Rounds beside those that the amount of data needs: tables move after what is in their way. */
const SPARE_ROUNDS = 4;

/**
 * Compacts the image, as `Disk.compact` describes.
 *
 * @throws {@link Qcow2Error} `unsupported`, `corrupt`, and what the device throws; the signal's reason when it aborts.
 */
export function compactImage(writer: Writer, options: OperationOptions = {}): Promise<CompactReport> {
  return writer.restructure(async (structure) => {
    refuseUnsupported(structure);
    const oldSize = structure.state.device.size;
    await freeLeaks(structure, writer);
    // A growing that was interrupted may have left some.
    await unmapPastEnd(structure, structure.layer.size);
    return { ...(await new Compaction(structure, options).run()), oldSize };
  }, options.signal);
}

/** One compaction. */
export class Compaction {
  readonly #structure: Structure;
  readonly #options: OperationOptions;
  /** Clusters that stay free before the end. */
  readonly #keptFree: number;
  /** Reports the clusters that have moved. Until there is something to move, there is nothing to do. */
  #progress: (done: number) => void = () => progressOf(this.#options, 'compact', 0)(0);
  #copied = 0;
  #updated = 0;
  /** Refcount blocks that were removed: what they took is free, and the next round may move more. */
  #dropped = 0;

  /** `keepFree` bytes stay free before the end of the file. */
  constructor(structure: Structure, options: OperationOptions, keepFree: number = 0) {
    this.#structure = structure;
    this.#options = options;
    this.#keptFree = Math.floor(keepFree / structure.layer.geometry.clusterSize);
  }

  /**
   * Moves what there is to move, and cuts the file's end off. Leaks are left as they are.
   *
   * @throws {@link Qcow2Error} `unsupported` for a LUKS image.
   */
  async run(): Promise<CompactReport> {
    const { layer, state, slice } = this.#structure;
    refuseUnsupported(this.#structure);
    const oldSize = state.device.size;
    await dropEmptyTables(this.#structure);
    let rounds = 0;
    for (let before = -1; this.#changes > before; rounds--) {
      before = this.#changes;
      const layout = await layoutOf(this.#structure, this.#keptFree);
      if (layout.last < layout.end) break;
      if (before === 0) {
        rounds = roundsFor(layout);
        this.#progress = this.#progressOf(layout);
      }
      if (rounds === 0) break;
      await this.#round(layout);
    }
    await slice(function* () {
      yield* writeBack(state, 'check');
      yield* cutFileEnd(state);
    });
    this.#progress(Number.POSITIVE_INFINITY); // what could not move is done, too
    return { copied: this.#copied, updated: this.#updated, oldSize, newSize: layer.source.size };
  }

  get #changes(): number {
    return this.#copied + this.#updated + this.#dropped;
  }

  #progressOf({ behind }: Layout): (done: number) => void {
    const { clusterSize } = this.#structure.layer.geometry;
    const total = Math.max(1, behind) * clusterSize;
    const report = progressOf(this.#options, 'compact', total);
    return (copied) => report(Math.min(total, copied * clusterSize));
  }

  async #round({ singlesEnd, tables, blocks }: Layout): Promise<void> {
    const structure = this.#structure;
    const { clusterSize } = structure.layer.geometry;
    const found = await findUnits(structure, singlesEnd);
    const isTable = ({ kind }: { kind: string }) => kind === 'L2 table';
    const size = Math.max(1, Math.min(BATCH_UNITS, Math.floor(BATCH_BYTES / clusterSize)));
    // One buffer for all batches: a new one for each makes the garbage collector run at nearly every batch.
    const buffer = new Uint8Array(Math.min(size, found.clusters.length) * clusterSize);
    const move = (batch: readonly MovedCluster[]) => moveClusters(structure, batch, found, singlesEnd, buffer);
    await this.#inBatches(
      found.clusters.filter((unit) => !isTable(unit)),
      size,
      move,
    );
    await this.#inBatches(found.streams, size, (batch) => moveStreams(structure, batch, found, singlesEnd));
    await this.#inBatches(found.clusters.filter(isTable), size, move);
    await this.#moveBlocks(singlesEnd, blocks);
    for (let block = blocks; block < structure.state.refcounts.tableEntries; ) {
      const { next, dropped } = await this.#settled(() => dropEmptyBlocks(structure, block));
      this.#dropped += dropped;
      block = next;
    }
    for (const table of tables) await this.#move(() => moveTable(structure, table, singlesEnd));
    await this.#move(() => packRefcountTable(structure, singlesEnd));
  }

  /** Moves the refcount blocks that are needed, and lie from the cluster `limit` on. */
  async #moveBlocks(limit: number, blocks: number): Promise<void> {
    const { refcounts } = this.#structure.state;
    for (let index = 0; index < Math.min(blocks, refcounts.tableEntries); index++) {
      if (refcounts.blockOffset(index) < limit * refcounts.clusterSize) continue;
      await this.#move(() => moveBlock(this.#structure, index, limit));
    }
  }

  async #inBatches<T>(units: readonly T[], size: number, move: (batch: readonly T[]) => Steps<Moved>): Promise<void> {
    for (let from = 0; from < units.length; from += size) {
      await this.#move(() => move(units.slice(from, from + size)));
    }
  }

  async #move(steps: () => Steps<Moved>): Promise<void> {
    const { copied, updated } = await this.#settled(steps);
    this.#copied += copied;
    this.#updated += updated;
    this.#structure.state.space.moved += copied;
    this.#progress(this.#copied);
  }

  /** Runs a slice in which the first change is announced, the tables are on the medium and every refcount is exact. */
  #settled<T>(steps: () => Steps<T>): Promise<T> {
    const { state, writes, slice } = this.#structure;
    return slice(function* () {
      yield* writes.mark();
      yield* settle(state);
      return yield* steps();
    });
  }
}

/** The most rounds: requests that free clusters meanwhile would keep it running for ever. */
function roundsFor({ behind }: Layout): number {
  return SPARE_ROUNDS + Math.ceil(behind / (MAX_WORDS / 2));
}

function refuseUnsupported({ layer }: Structure): void {
  if (layer.header.cryptMethod !== CRYPT_METHOD.luks) return;
  // The cipher's initialization vector is the host offset.
  const message = 'A LUKS image cannot be compacted: a cluster that moves must be encrypted anew.';
  throw new Qcow2Error('unsupported', message, { what: 'crypt_method', at: 32 });
}
