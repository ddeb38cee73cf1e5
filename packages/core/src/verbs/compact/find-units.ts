/**
 * Finds the clusters to move, and every word that refers to them. It runs in slices, so the image may change meanwhile:
 * what was found is compared with the image again before it moves.
 */
import type { Transfer } from '../../api/device.js';
import type { Steps } from '../../engine/async/steps.js';
import { isBase } from '../../engine/layer/layer.js';
import { nextEntries } from '../../engine/layer/table-cache.js';
import { readBitmapTables } from '../../engine/write/bitmaps/open-bitmaps.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import { viewOf } from '../../format/bytes.js';
import { l2TableOffset } from '../../format/entries.js';
import { forEachHost, getHost, mapsNothing } from '../../format/host-words.js';
import { UnitCollector } from './unit-collector.js';
import type { Units } from './units.js';

/** Bytes of a snapshot's tables that one slice reads. */
const SLICE_BYTES = 4 * 1024 * 1024;

/** Finds what lies from the cluster `from` on. */
export async function findUnits(structure: Structure, from: number): Promise<Units> {
  const collector = new UnitCollector(structure.layer.geometry.clusterSize, from);
  // Tables that were read: snapshots share most of theirs.
  const seen = new Set<number>();
  await collectActive(structure, collector, seen);
  for (let index = 0; index < structure.layer.snapshots.length; index++) {
    await collectSnapshot(structure, collector, seen, index);
  }
  await collectBitmaps(structure, collector);
  return collector.units;
}

/** Gives up the L2 tables of the active disk that map nothing. */
export async function dropEmptyTables(structure: Structure): Promise<void> {
  const { layer, writes } = structure;
  const base = isBase(layer);
  await eachActiveTable(structure, function* (index, table) {
    if (!mapsNothing(layer.geometry, table, base)) return;
    yield* writes.mark();
    yield* writes.unmapFrom(index, index * layer.geometry.bytesPerL2);
  });
}

async function collectActive(structure: Structure, collector: UnitCollector, seen: Set<number>): Promise<void> {
  const { layer, state } = structure;
  await eachActiveTable(structure, (index, table, host) => {
    if (layer.snapshots.length > 0) seen.add(host);
    collector.add('L2 table', host, 0, state.l1At + index * 8);
    collector.addActiveTable(host, index, () => collectTable(structure, collector, table, host));
    return undefined;
  });
}

/** Calls `visit` with each L2 table of the active disk, its L1 index and its host offset. */
async function eachActiveTable(
  { layer, slice }: Structure,
  visit: (index: number, table: DataView, host: number) => Steps | undefined,
): Promise<void> {
  const { tables } = layer;
  for (let first = 0; first < tables.l1Size; ) {
    await slice(function* () {
      const range = nextEntries(layer.geometry, first, tables.l1Size - 1, (index) => tables.has(index));
      const { tables: rows, loading } = tables.acquire([range]);
      yield loading;
      for (const [step, table] of rows[0]!.entries()) {
        const steps = table && visit(first + step, table, l2TableOffset(tables.l1, first + step));
        if (steps) yield* steps;
      }
      first = range.last + 1;
    });
  }
}

function collectTable({ layer }: Structure, collector: UnitCollector, table: DataView, tableAt: number): void {
  const { geometry } = layer;
  if (geometry.externalData) return;
  forEachHost(geometry, table, (index, host, length) => {
    collector.add('guest data', host, length, tableAt + index * geometry.l2EntrySize);
  });
}

/** The L2 tables of a snapshot are read from the medium: nothing changes them in place. */
async function collectSnapshot(
  structure: Structure,
  collector: UnitCollector,
  seen: Set<number>,
  snapshot: number,
): Promise<void> {
  const { layer, slice } = structure;
  const { clusterSize } = layer.geometry;
  const { l1TableOffset, l1Size } = layer.snapshots[snapshot]!;
  const l1 = viewOf(new Uint8Array(l1Size * 8));
  await slice(function* () {
    yield layer.source.read([{ at: l1TableOffset, bytes: new Uint8Array(l1.buffer) }]);
  });
  for (let index = 0; index < l1Size; ) {
    await slice(function* () {
      const batch: Transfer[] = [];
      for (; index < l1Size && batch.length * clusterSize < SLICE_BYTES; index++) {
        const host = l2TableOffset(l1, index);
        if (host === 0) continue;
        collector.add('L2 table', host, 0, l1TableOffset + index * 8);
        collector.addSnapshotTable(host);
        if (!seen.has(host)) batch.push({ at: host, bytes: new Uint8Array(clusterSize) });
        seen.add(host);
      }
      yield layer.source.read(batch);
      for (const { at, bytes } of batch) {
        collectTable(structure, collector, viewOf(bytes), at);
      }
    });
  }
}

async function collectBitmaps({ layer, state, signal, slice }: Structure, collector: UnitCollector): Promise<void> {
  if (layer.bitmaps.length === 0) return;
  await slice(() => writeBack(state, 'bitmaps'));
  const tables = await readBitmapTables(layer, signal);
  for (const [index, { tableOffset }] of layer.bitmaps.entries()) {
    const table = tables[index] ?? null;
    for (let at = 0; table !== null && at < table.byteLength; at += 8) {
      const host = getHost(table, at);
      if (host !== 0) collector.add('bitmap data', host, 0, tableOffset + at);
    }
  }
}
