/** The tables of an image that take consecutive clusters, and the word that refers to each. */

import type { MetadataKind } from '../../engine/allocation/metadata-map.js';
import type { Structure } from '../../engine/write/structure.js';
import { bitmapEntryLength } from '../../format/bitmaps.js';
import { decodeBitmapsExtension } from '../../format/bitmaps-extension.js';
import { EXTENSION, findExtension } from '../../format/extensions.js';
import { L1_TABLE_AT, SNAPSHOT_TABLE_AT } from '../../format/header-fields.js';
import { encodeSnapshots, snapshotEntryLength } from '../../format/snapshots.js';

/** A table that takes consecutive clusters. */
export interface Table {
  readonly kind: MetadataKind;
  readonly host: number;
  readonly clusters: number;
  /** Where the word that refers to it is: its byte in the header, or in the table of entries, which may move itself. */
  readonly wordAt: number;
  /** The index of the snapshot or the bitmap that it belongs to. */
  readonly index: number;
}

/** Every such table but the refcount table, in ascending order. */
export function tablesOf({ layer }: Structure): Table[] {
  const { header, snapshots, bitmaps, extensions, geometry } = layer;
  const tables: Table[] = [];
  const add = (kind: MetadataKind, host: number, bytes: number, wordAt: number, index: number = 0) => {
    const clusters = Math.ceil(bytes / geometry.clusterSize);
    if (clusters > 0) tables.push({ kind, host, clusters, wordAt, index });
  };
  add('L1 table', header.l1TableOffset, header.l1Size * 8, L1_TABLE_AT);
  if (snapshots.length > 0) {
    add('snapshot table', header.snapshotsOffset, encodeSnapshots(snapshots).length, SNAPSHOT_TABLE_AT);
  }
  let entry = 0;
  for (const [index, snapshot] of snapshots.entries()) {
    add("snapshot's L1 table", snapshot.l1TableOffset, snapshot.l1Size * 8, entry, index);
    entry += snapshotEntryLength(snapshot);
  }
  const extension = bitmaps.length > 0 ? findExtension(extensions, EXTENSION.bitmaps) : undefined;
  if (extension !== undefined) {
    const { directoryOffset, directorySize } = decodeBitmapsExtension(extension);
    add('bitmap directory', directoryOffset, directorySize, extension.offset + 16);
    entry = 0;
    for (const [index, bitmap] of bitmaps.entries()) {
      add('bitmap table', bitmap.tableOffset, bitmap.tableSize * 8, entry, index);
      entry += bitmapEntryLength(bitmap);
    }
  }
  return tables.sort((a, b) => a.host - b.host);
}

/** The host offset of the word that refers to a table; null when the image has lost its bitmaps since it was found. */
export function wordOf({ layer }: Structure, { kind, wordAt }: Table): number | null {
  if (kind === "snapshot's L1 table") return layer.header.snapshotsOffset + wordAt;
  if (kind !== 'bitmap directory' && kind !== 'bitmap table') return wordAt;
  if (layer.bitmaps.length === 0) return null;
  if (kind === 'bitmap directory') return wordAt;
  return decodeBitmapsExtension(findExtension(layer.extensions, EXTENSION.bitmaps)!).directoryOffset + wordAt;
}
