/** Repairs L1 and L2 entries: invalid bits are cleared, and entries that lead nowhere are removed. */
import type { Transfer } from '../../api/device.js';
import { DirtyRanges } from '../../engine/allocation/dirty-ranges.js';
import { addDirty } from '../../engine/write/dirty-tables.js';
import { hex, viewOf } from '../../format/bytes.js';
import { setL1Entry, setL2Entry } from '../../format/encode-entries.js';
import { getL1Entry, getL2Entry, type Mapping } from '../../format/entries.js';
import {
  COMPRESSED_DATA_FILE,
  COMPRESSED_OFFSET,
  DATA_FILE_OFFSET,
  l2Faults,
  SUBCLUSTERS_NOWHERE,
  UNALIGNED,
} from '../../format/entry-faults.js';
import type { Geometry } from '../../format/geometry.js';
import { AUTOCLEAR, diskSizeOf } from '../../format/header.js';
import { setAutoclear } from '../../format/header-fields.js';
import { isEmptyEntry } from '../../format/plain-entries.js';
import { describeAnyFault, l1Faults } from '../../format/table-faults.js';
import { writeChanged } from './changed-table.js';
import { type LoadedTable, type RepairedDisk, readL1, tablesOf } from './disks.js';
import { changeHeader } from './header-sector.js';
import { type MetadataRoles, tablesNamedTwice } from './metadata-roles.js';
import type { PendingChange } from './pending-change.js';
import { type RepairContext, readOfRemoved } from './repair-context.js';
import { StreamShortener } from './shorten-streams.js';

/** A part of a table's guest bytes that is lost, from the first byte that the table maps on. */
interface LostPart {
  readonly start: number;
  readonly length: number;
  readonly reason: string;
}

/** Faults for which an entry is removed. The others can be corrected. */
const REMOVED = UNALIGNED | COMPRESSED_OFFSET;
/** Faults of an entry of an image with an external data file: there is only one place where its cluster can be. */
const MISPLACED = UNALIGNED | COMPRESSED_DATA_FILE | DATA_FILE_OFFSET;

/**
 * Repairs every L2 table that a valid L1 entry leads to, each once.
 *
 * @throws what the medium throws; the signal's reason.
 */
export async function repairL2Tables(
  context: RepairContext,
  disks: readonly RepairedDisk[],
  roles: MetadataRoles,
): Promise<void> {
  const { medium, geometry } = context;
  const repaired = new Set<number>();
  const streams = new StreamShortener(context, roles);
  const shared = await tablesNamedTwice(context, disks);
  /** What is lost in a table, for the other entries that lead to it. */
  const lostIn = new Map<number, readonly LostPart[]>();
  for (const disk of disks) {
    const l1 = await readL1(context, disk);
    const isValid = (index: number) => (l1Faults(geometry, l1, index) & UNALIGNED) === 0;
    /** The entries whose tables are repaired for this disk. */
    const first = new Set<number>();
    const isWanted = (at: number, index: number): boolean => {
      if (!isValid(index) || !roles.isTable(at) || repaired.has(at)) return false;
      repaired.add(at);
      first.add(index);
      return true;
    };
    for await (const tables of tablesOf(context, l1, isWanted)) {
      const transfers: Transfer[] = [];
      for (const table of tables) {
        addDirty(transfers, table.view, table.at, await streams.shorten(table));
        const { dirty, lost } = repairTable(context, table, roles);
        addDirty(transfers, table.view, table.at, dirty);
        if (lost.length > 0 && shared.has(table.at)) lostIn.set(table.at, lost);
        loseParts(context, disk, table.l1Index, lost);
      }
      await medium.write(transfers);
    }
    // Other entries may lead to the same tables: of other disks, or of this one.
    for (let index = 0; index < l1.byteLength / 8; index++) {
      const { offset } = getL1Entry(l1, index);
      const lost = offset === null || first.has(index) ? undefined : lostIn.get(offset);
      if (lost !== undefined && isValid(index)) loseParts(context, disk, index, lost);
    }
  }
  await medium.flush();
}

/**
 * Repairs the L1 table of every disk. Returns the places of removed entries that must lead to a table of zeros, so that
 * the backing file is not read instead: host offsets.
 *
 * @throws what the medium throws; the signal's reason.
 */
export async function repairL1Tables(
  context: RepairContext,
  disks: readonly RepairedDisk[],
  roles: MetadataRoles,
): Promise<readonly number[]> {
  const { medium, geometry, log, fileSize } = context;
  const removed: number[] = [];
  for (const disk of disks) {
    const l1 = await readL1(context, disk);
    const dirty = new DirtyRanges();
    let keepsDisk = true;
    for (let index = 0; index < l1.byteLength / 8; index++) {
      if (isEmptyEntry(l1, index * 8)) continue;
      const { offset, owned } = getL1Entry(l1, index);
      const faults = l1Faults(geometry, l1, index);
      const reason = offset === null ? null : tableFault(offset, faults, roles, fileSize);
      if (offset !== null && faults === 0 && reason === null) continue;
      if (reason === null) {
        setL1Entry(l1, index, { offset, owned: owned && offset !== null });
        log.count('entries-corrected');
      } else {
        setL1Entry(l1, index, { offset: null, owned: false });
        log.count('entries-removed');
        if (loseTable(context, disk, index, reason)) removed.push(disk.l1At + index * 8);
        else keepsDisk = false;
      }
      dirty.add(index * 8, index * 8 + 8);
    }
    // Where there is no room for all tables, the disk is no longer what is in the data file.
    if (!keepsDisk && hasRawData(context)) {
      await changeHeader(medium, (sector) => setAutoclear(sector, AUTOCLEAR.rawDataFile, false));
    }
    await writeChanged(medium, l1, disk.l1At, dirty);
  }
  await medium.flush();
  return removed;
}

/**
 * Writes a table for each removed L1 entry: of zeros or, where the data file is a raw disk by itself, of what is in it.
 *
 * @throws what the medium throws.
 */
export async function addZeroTables(context: RepairContext, entries: readonly number[]): Promise<PendingChange> {
  const { medium, geometry, end, header } = context;
  const added = new Map<number, number>();
  const transfers: Transfer[] = [];
  const zeros = tableOfZeros(geometry);
  for (const entry of entries) {
    const bytes = hasRawData(context) ? tableOfRawData(context, (entry - header.l1TableOffset) / 8) : zeros;
    const at = end.take(geometry.clusterSize);
    await medium.write([{ at, bytes }]);
    added.set(at / geometry.clusterSize, 1);
    const pointer = new Uint8Array(8);
    setL1Entry(viewOf(pointer), 0, { offset: at, owned: false });
    transfers.push({ at: entry, bytes: pointer });
  }
  return { added, commit: () => medium.write(transfers) };
}

function tableFault(offset: number, faults: number, roles: MetadataRoles, fileSize: number): string | null {
  if ((faults & UNALIGNED) !== 0) return describeAnyFault(UNALIGNED, offset);
  if (offset >= fileSize) return `points to ${hex(offset)}, past the end of the file`;
  return roles.isTable(offset) ? null : `points to ${hex(offset)}, which is other metadata`;
}

/** Reports the range of a removed table. Returns true if it needs a table of zeros, for which there is room. */
function loseTable(context: RepairContext, disk: RepairedDisk, index: number, reason: string): boolean {
  const { geometry, log, end } = context;
  if (hasRawData(context) && end.reserve(geometry.clusterSize)) return true;
  const read = readOfRemoved(context);
  const needsZeros = read === 'zero entries' && end.reserve(geometry.clusterSize);
  const start = index * geometry.bytesPerL2;
  const readsBacking = read !== 'nothing' && !needsZeros;
  log.lose(disk, { start, length: geometry.bytesPerL2, reason, readsBacking });
  return needsZeros;
}

/** True if the external data file is a raw disk by itself: all of the disk is there, whatever the tables say. */
function hasRawData({ geometry, header }: RepairContext): boolean {
  return geometry.externalData && header.autoclearFeatures.includes(AUTOCLEAR.rawDataFile);
}

/** The table of an L1 entry that maps every cluster of the disk to its place in the data file. */
function tableOfRawData({ geometry, header }: RepairContext, l1Index: number): Uint8Array {
  const bytes = new Uint8Array(geometry.clusterSize);
  for (let index = 0; index < geometry.l2Entries; index++) {
    const host = l1Index * geometry.bytesPerL2 + index * geometry.clusterSize;
    if (host >= diskSizeOf(header)) break;
    const whole: Mapping = geometry.extendedL2
      ? { kind: 'subclusters', host, owned: true, allocated: 0xffff_ffff, zero: 0 }
      : { kind: 'data', host, owned: true };
    setL2Entry(geometry, viewOf(bytes), index, whole);
  }
  return bytes;
}

function tableOfZeros(geometry: Geometry): Uint8Array {
  const bytes = new Uint8Array(geometry.clusterSize);
  for (let index = 0; index < geometry.l2Entries; index++) setL2Entry(geometry, viewOf(bytes), index, zeros(geometry));
  return bytes;
}

function zeros({ extendedL2 }: Geometry): Mapping {
  if (!extendedL2) return { kind: 'zero', host: null, owned: false };
  return { kind: 'subclusters', host: null, owned: false, allocated: 0, zero: 0xffff_ffff };
}

function repairTable(
  context: RepairContext,
  { l1Index, view }: LoadedTable,
  roles: MetadataRoles,
): { dirty: DirtyRanges; lost: LostPart[] } {
  const { geometry, log } = context;
  const { l2Entries, l2EntrySize, clusterSize, bytesPerL2 } = geometry;
  const dirty = new DirtyRanges();
  const lost: LostPart[] = [];
  for (let index = 0; index < l2Entries; index++) {
    if (isEmptyEntry(view, index * l2EntrySize) && !geometry.extendedL2) continue;
    const guest = l1Index * bytesPerL2 + index * clusterSize;
    const faults = l2Faults(geometry, view, index, guest);
    const mapping = getL2Entry(geometry, view, index);
    const reason = removalReason(context, mapping, faults, roles);
    if (reason !== null) {
      const { placed, parts } = withoutHost(context, mapping, reason);
      for (const part of parts) lose(lost, { ...part, start: index * clusterSize + part.start });
      setL2Entry(geometry, view, index, placed);
      log.count('entries-removed');
    } else if (faults !== 0) {
      const misplaced = hasRawData(context) ? MISPLACED | SUBCLUSTERS_NOWHERE : MISPLACED;
      const isMisplaced = geometry.externalData && (faults & misplaced) !== 0;
      const placed = isMisplaced ? atGuestOffset(mapping, guest) : mapping;
      const { corrected, lostSubclusters } = correct(geometry, placed);
      setL2Entry(geometry, view, index, corrected);
      for (const part of lostParts(geometry, lostSubclusters, describeAnyFault(SUBCLUSTERS_NOWHERE, 0))) {
        lose(lost, { ...part, start: index * clusterSize + part.start });
      }
      log.count('entries-corrected');
    } else continue;
    dirty.add(index * l2EntrySize, (index + 1) * l2EntrySize);
  }
  return { dirty, lost };
}

/** Adds a lost part; one that continues the last becomes a part of it, since there may be millions. */
function lose(lost: LostPart[], part: LostPart): void {
  const last = lost.at(-1);
  if (last === undefined || last.start + last.length !== part.start) lost.push(part);
  else lost[lost.length - 1] = { ...last, length: last.length + part.length };
}

/** Why an entry must be removed, a predicate; null when it can be kept. */
function removalReason(
  { geometry, fileSize }: RepairContext,
  mapping: Mapping,
  faults: number,
  roles: MetadataRoles,
): string | null {
  const host = mapping.kind === 'unallocated' ? null : mapping.host;
  if (!geometry.externalData && (faults & REMOVED) !== 0) return describeAnyFault(faults & REMOVED, host ?? 0);
  if (host === null || geometry.externalData) return null;
  const length = mapping.kind === 'compressed' ? mapping.length : geometry.clusterSize;
  if (host + length - fileSize >= geometry.clusterSize) return `points to ${hex(host)}, past the end of the file`;
  return roles.touches(host, length) ? `points to ${hex(host)}, which is metadata` : null;
}

/** What becomes of an entry whose host cluster cannot be there, and what is lost of its guest cluster. */
function withoutHost(
  context: RepairContext,
  mapping: Mapping,
  reason: string,
): { readonly placed: Mapping; readonly parts: readonly LostPart[] } {
  const { geometry } = context;
  if (mapping.kind === 'zero' && geometry.version === 3) {
    return { placed: { kind: 'zero', host: null, owned: false }, parts: [] };
  }
  if (mapping.kind !== 'subclusters') {
    return { placed: removedMapping(context), parts: [{ start: 0, length: geometry.clusterSize, reason }] };
  }
  const { allocated } = mapping;
  const zeroed = readOfRemoved(context) === 'zero entries' ? allocated : 0;
  const zero = ((mapping.zero & ~allocated) | zeroed) >>> 0;
  return {
    placed: { kind: 'subclusters', host: null, owned: false, allocated: 0, zero },
    parts: lostParts(geometry, allocated, reason),
  };
}

/** What a removed entry becomes: zeros where the backing file would be read instead. */
export function removedMapping(context: RepairContext): Mapping {
  return readOfRemoved(context) === 'zero entries' ? zeros(context.geometry) : { kind: 'unallocated' };
}

/** An entry of an image with an external data file, with the cluster at its guest offset. */
function atGuestOffset(mapping: Mapping, host: number): Mapping {
  const owned = true;
  if (mapping.kind === 'subclusters') return { ...mapping, host, owned };
  return mapping.kind === 'zero' ? { kind: 'zero', host, owned } : { kind: 'data', host, owned };
}

/**
 * An entry without its faults, which do not hide where the bytes are. Data have precedence over zeros. Writing an entry
 * anew clears its reserved bits.
 */
function correct(geometry: Geometry, mapping: Mapping): { corrected: Mapping; lostSubclusters: number } {
  switch (mapping.kind) {
    case 'zero': {
      const { host, owned } = mapping;
      if (geometry.version === 3) return { corrected: mapping, lostSubclusters: 0 };
      const corrected: Mapping = host === null ? { kind: 'unallocated' } : { kind: 'data', host, owned };
      return { corrected, lostSubclusters: 0 };
    }
    case 'subclusters': {
      const { host, owned, allocated, zero } = mapping;
      if (host !== null) {
        return { corrected: { ...mapping, zero: (zero & ~allocated) >>> 0 }, lostSubclusters: 0 };
      }
      const corrected: Mapping = { kind: 'subclusters', host, owned, allocated: 0, zero: (zero | allocated) >>> 0 };
      return { corrected, lostSubclusters: allocated };
    }
    default:
      return { corrected: mapping, lostSubclusters: 0 };
  }
}

/** The subclusters of a mask as ranges of their cluster. */
function lostParts({ subclusterSize }: Geometry, mask: number, reason: string): LostPart[] {
  const parts: LostPart[] = [];
  for (let subcluster = 0; subcluster < 32; subcluster++) {
    if (((mask >>> subcluster) & 1) === 0) continue;
    const start = subcluster * subclusterSize;
    parts.push({ start, length: subclusterSize, reason });
  }
  return parts;
}

function loseParts(context: RepairContext, disk: RepairedDisk, l1Index: number, parts: readonly LostPart[]): void {
  const { log, geometry } = context;
  const readsBacking = readOfRemoved(context) === 'backing file';
  for (const { start, length, reason } of parts) {
    log.lose(disk, { start: l1Index * geometry.bytesPerL2 + start, length, reason, readsBacking });
  }
}
