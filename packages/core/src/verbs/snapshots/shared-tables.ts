/** Reads the L2 tables that an L1 table refers to, in batches, and changes their COPIED flags on the medium. */

import type { Steps } from '../../engine/async/steps.js';
import type { Structure } from '../../engine/write/structure.js';
import { Qcow2Error } from '../../errors.js';
import { hex, viewOf } from '../../format/bytes.js';
import { clearCopied } from '../../format/copied-flags.js';
import { l2TableOffset } from '../../format/entries.js';
import { describeAnyFault, l1Faults } from '../../format/table-faults.js';
import { bytesOf } from '../../format/view-bytes.js';
import { adjacentTransfers } from '../adjacent-transfers.js';

/** Bytes of tables that are read at once. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** L2 tables that consecutive entries of an L1 table refer to. */
export interface TableBatch {
  /** The entry of each table, its host offset, and the table. */
  readonly indexes: readonly number[];
  readonly hosts: readonly number[];
  readonly tables: readonly DataView[];
  /** The entry of the next batch. */
  readonly next: number;
}

/** Reads the tables of an L1 table, batch by batch. Everything must have been written back. */
export class TableReader {
  readonly #structure: Structure;
  readonly #l1: DataView;
  /** What errors call the table. */
  readonly #what: string;
  readonly #buffer: Uint8Array;
  readonly #perBatch: number;

  /** `most` is the most bytes of a batch. */
  constructor(structure: Structure, l1: DataView, what: string, most: number = BATCH_BYTES) {
    const { clusterSize } = structure.layer.geometry;
    this.#structure = structure;
    this.#l1 = l1;
    this.#what = what;
    this.#perBatch = Math.max(1, Math.floor(most / clusterSize));
    this.#buffer = new Uint8Array(Math.min(this.#perBatch, this.entries) * clusterSize);
  }

  /** Entries of the L1 table. */
  get entries(): number {
    return this.#l1.byteLength / 8;
  }

  /**
   * Reads the tables from the entry `first` on. They are valid until the next call.
   *
   * @throws {@link Qcow2Error} `corrupt` when an entry is invalid.
   */
  *read(first: number): Steps<TableBatch> {
    const { layer } = this.#structure;
    const { clusterSize } = layer.geometry;
    const indexes: number[] = [];
    const hosts: number[] = [];
    let next = first;
    for (; next < this.entries && hosts.length < this.#perBatch; next++) {
      const host = l2TableOffset(this.#l1, next);
      if (host === 0) continue;
      this.#refuseFault(next, host);
      indexes.push(next);
      hosts.push(host);
    }
    yield layer.source.read(adjacentTransfers(hosts, clusterSize, this.#buffer));
    const tables = hosts.map((_, step) => viewOf(this.#buffer.subarray(step * clusterSize, (step + 1) * clusterSize)));
    return { indexes, hosts, tables, next };
  }

  #refuseFault(index: number, host: number): void {
    const { geometry, source } = this.#structure.layer;
    const faults = l1Faults(geometry, this.#l1, index);
    const details = { what: `${this.#what}, entry ${index}`, at: host };
    if (faults !== 0) {
      throw new Qcow2Error('corrupt', `Entry ${index} of ${this.#what} ${describeAnyFault(faults, host)}.`, details);
    }
    if (host + geometry.clusterSize <= source.size) return;
    const message = `Entry ${index} of ${this.#what} leads to ${hex(host)}, but the file ends at ${hex(source.size)}.`;
    throw new Qcow2Error('corrupt', message, details);
  }
}

/** Writes tables in their places, in the file and in memory. */
export function* rewriteTables(
  { layer, state }: Structure,
  tables: readonly { readonly host: number; readonly table: DataView }[],
): Steps {
  for (const { host, table } of tables) {
    state.metadata.refuseOverlap('L2 table', host, table.byteLength);
    const cached = layer.tables.find(host);
    if (cached !== undefined) bytesOf(cached).set(bytesOf(table));
    // A load of it that a reader has begun, and does not wait for any more, would bring the old flags.
    else layer.tables.forget(host);
  }
  yield state.device.write(tables.map(({ host, table }) => ({ at: host, bytes: bytesOf(table) })));
}

/** Clears COPIED in every L2 table that an L1 table refers to. */
export function* clearInTables(structure: Structure, reader: TableReader): Steps {
  const { l2EntrySize } = structure.layer.geometry;
  for (let first = 0; first < reader.entries; ) {
    const { hosts, tables, next } = yield* reader.read(first);
    const changed = tables
      .map((table, step) => ({ host: hosts[step]!, table }))
      .filter(({ table }) => clearCopied(table, l2EntrySize));
    yield* rewriteTables(structure, changed);
    first = next;
  }
}
