/** Reads what a layer has from its own qcow2 file: the header and the tables, and the caches for what these lead to. */
import { ClusterCache } from '../../engine/layer/cluster-cache.js';
import type { CountingSource } from '../../engine/layer/counting-source.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { geometryIn, readHeader, readTables } from '../../engine/layer/metadata.js';
import { TableCache } from '../../engine/layer/table-cache.js';
import { diskSizeOf } from '../../format/header.js';
import type { CacheBudgets } from './open-options.js';

/** The fields of a layer that its own file decides. */
type OwnFields = Pick<
  Qcow2Layer,
  | 'size'
  | 'header'
  | 'extensions'
  | 'featureNames'
  | 'snapshots'
  | 'bitmaps'
  | 'tableInfo'
  | 'geometry'
  | 'source'
  | 'tables'
  | 'inflated'
  | 'counters'
>;

/** What was read. */
export interface OwnFile {
  readonly fields: OwnFields;
  /** The first cluster, as much of it as the file has. */
  readonly bytes: Uint8Array;
}

/**
 * Reads and validates the header and the tables of a file.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`; what the source throws; the signal's reason.
 */
export async function readOwnFile(
  source: CountingSource,
  { l2Bytes }: Pick<CacheBudgets, 'l2Bytes'>,
  counters: Qcow2Layer['counters'],
  signal: AbortSignal | undefined,
): Promise<OwnFile> {
  const { header, extensions, featureNames, bytes } = await readHeader(source, signal);
  const geometry = await geometryIn({ header, extensions }, source.size);
  const { l1, snapshots, bitmaps } = await readTables(source, header, extensions, geometry, signal);
  const hasTables = snapshots.length > 0 || bitmaps.length > 0;
  const fields: OwnFields = {
    size: diskSizeOf(header),
    header,
    extensions,
    featureNames,
    snapshots,
    bitmaps,
    tableInfo: hasTables ? await import('../../engine/layer/optional-tables.js') : null,
    geometry,
    source,
    tables: new TableCache({ geometry, source, l1, budget: l2Bytes, counters }),
    inflated: new ClusterCache(geometry.clusterSize),
    counters,
  };
  return { fields, bytes };
}
