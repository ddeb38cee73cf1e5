/** Releases what an L1 table that is no longer used refers to, and sets COPIED where one reference is left. */
import type { Steps } from '../../engine/async/steps.js';
import { isSingle } from '../../engine/write/find-clusters.js';
import { flushes } from '../../engine/write/flushes.js';
import { settle } from '../../engine/write/settle.js';
import type { Structure } from '../../engine/write/structure.js';
import { forEachUncopied } from '../../format/copied-flags.js';
import { setL1Entry, setOwned } from '../../format/encode-entries.js';
import { getL1Entry } from '../../format/entries.js';
import { forEachHost } from '../../format/host-words.js';
import { rewriteTables, TableReader } from './shared-tables.js';

/** Bytes of tables that one slice releases: reads and writes wait that long. */
const SLICE_BYTES = 512 * 1024;

/** Releases one reference to each table, and to all that it refers to. Each slice leaves leaks at most. */
export async function releaseTables(structure: Structure, l1: DataView): Promise<void> {
  const { layer, state, slice } = structure;
  const { geometry } = layer;
  const { clusterSize } = geometry;
  const reader = new TableReader(structure, l1, 'an L1 table', SLICE_BYTES);
  for (let first = 0; first < reader.entries; ) {
    await slice(function* () {
      // What the disk gave up meanwhile is released by itself: it may be the same cluster.
      yield* settle(state);
      const { hosts, tables, next } = yield* reader.read(first);
      for (const [step, table] of tables.entries()) {
        const host = hosts[step]!;
        state.space.retire({ host, length: clusterSize });
        // Its cluster may become free, and another table's.
        for (const each of [layer, ...layer.views]) each.tables.forget(host);
        forEachHost(geometry, table, (_, host, length) => state.space.retire({ host, length: length || clusterSize }));
      }
      first = next;
    });
  }
  await slice(() => settle(state));
}

/** Sets COPIED in the tables of the disk where the refcount is one. */
export async function restoreCopied(structure: Structure): Promise<void> {
  const { state, slice } = structure;
  // The L1 table stays the same object: what replaces it waits for this verb.
  const reader = new TableReader(structure, state.l1, 'the L1 table', SLICE_BYTES);
  let isFlushed = false;
  for (let first = 0; first < reader.entries; ) {
    await slice(function* () {
      yield* settle(state);
      // The refcounts fall on the medium before an entry says so.
      if (!isFlushed) yield flushes.countsLowered(state);
      isFlushed = true;
      const { indexes, hosts, tables, next } = yield* reader.read(first);
      const changed: { host: number; table: DataView }[] = [];
      for (const [step, table] of tables.entries()) {
        const host = hosts[step]!;
        if (!(yield* isSingle(state, host))) continue;
        setInL1(structure, indexes[step]!);
        if (yield* setInTable(structure, table)) changed.push({ host, table });
      }
      yield* rewriteTables(structure, changed);
      first = next;
    });
  }
  await slice(() => settle(state));
}

function setInL1({ state }: Structure, index: number): void {
  const { offset, owned } = getL1Entry(state.l1, index);
  if (owned) return;
  setL1Entry(state.l1, index, { offset, owned: true });
  state.dirtyL1.add(index * 8, index * 8 + 8);
}

/** Sets the flag in the entries of a table where it is missing. Returns true if it has set any. */
function* setInTable(structure: Structure, table: DataView): Steps<boolean> {
  const { geometry } = structure.layer;
  const missing: { index: number; host: number }[] = [];
  forEachUncopied(geometry, table, (index, host) => missing.push({ index, host }));
  // In the order of their blocks, of which few are in memory.
  missing.sort((a, b) => a.host - b.host);
  let changed = false;
  for (const { index, host } of missing) {
    if (!(yield* isSingle(structure.state, host))) continue;
    setOwned(geometry, table, index, true);
    changed = true;
  }
  return changed;
}
