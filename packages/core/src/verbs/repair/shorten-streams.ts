/**
 * Corrects the length of compressed clusters whose streams reach past the end of the file, or over metadata: where the
 * stream inflates without what is there, its length alone is wrong.
 */
import { DirtyRanges } from '../../engine/allocation/dirty-ranges.js';
import type { Codec } from '../../engine/layer/codec.js';
import { readBytes } from '../../engine/layer/read-bytes.js';
import { isQcow2Error } from '../../errors.js';
import { alignUp } from '../../format/bytes.js';
import { setL2Entry } from '../../format/encode-entries.js';
import { getL2Entry, isCompressed } from '../../format/entries.js';
import { COMPRESSED_OFFSET, l2Faults } from '../../format/entry-faults.js';
import { codecFor } from '../open/codec-for.js';
import type { LoadedTable } from './disks.js';
import type { MetadataRoles } from './metadata-roles.js';
import type { RepairContext } from './repair-context.js';

/** The unit of a stream's length, bytes. */
const SECTOR = 512;
/** Streams that are tried in one repair: each is inflated a dozen times. */
const MAX_STREAMS = 4096;

/** Shortens streams, in one repair. */
export class StreamShortener {
  readonly #context: RepairContext;
  readonly #roles: MetadataRoles;
  #codec: Codec | null = null;
  #left = MAX_STREAMS;

  constructor(context: RepairContext, roles: MetadataRoles) {
    this.#context = context;
    this.#roles = roles;
  }

  /**
   * Corrects the entries of a table in memory. Returns which of its bytes have changed.
   *
   * @throws what the medium throws; the signal's reason.
   */
  async shorten({ view }: LoadedTable): Promise<DirtyRanges> {
    const { geometry, log } = this.#context;
    const dirty = new DirtyRanges();
    for (let index = 0; index < geometry.l2Entries && this.#left > 0; index++) {
      if (geometry.externalData || !isCompressed(geometry, view, index)) continue;
      const mapping = getL2Entry(geometry, view, index);
      if (mapping.kind !== 'compressed' || (l2Faults(geometry, view, index, 0) & COMPRESSED_OFFSET) !== 0) continue;
      const end = this.#usableEnd(mapping.host, mapping.length);
      if (end === null) continue;
      this.#left--;
      const length = await this.#lengthOf(mapping.host, end);
      if (length === null) continue;
      setL2Entry(geometry, view, index, { ...mapping, length });
      dirty.add(index * geometry.l2EntrySize, (index + 1) * geometry.l2EntrySize);
      log.count('entries-corrected');
    }
    return dirty;
  }

  /** The end of what a stream may use; null when it may use all that it has, or nothing. */
  #usableEnd(host: number, length: number): number | null {
    const { geometry, fileSize } = this.#context;
    const { clusterSize } = geometry;
    if (host >= fileSize || this.#roles.touches(host, 1)) return null;
    const isWrong = host + length - fileSize >= clusterSize || this.#roles.touches(host, length);
    if (!isWrong) return null;
    const most = Math.min(host + length, alignUp(fileSize, SECTOR));
    let end = alignUp(host + 1, clusterSize);
    while (end < most && !this.#roles.touches(end, 1)) end += clusterSize;
    return Math.min(end, most);
  }

  /** The least length, to the end of a sector, with which the stream inflates; null when it does not before `end`. */
  async #lengthOf(host: number, end: number): Promise<number | null> {
    const { medium, geometry, signal } = this.#context;
    const bytes = await readBytes(medium, host, end - host, signal);
    const output = new Uint8Array(geometry.clusterSize);
    const within = host % SECTOR;
    const inflates = (sectors: number) => this.#inflates(bytes.subarray(0, sectors * SECTOR - within), output, host);
    let most = Math.ceil((within + end - host) / SECTOR);
    if (!(await inflates(most))) return null;
    for (let least = 1; least < most; ) {
      const middle = Math.floor((least + most) / 2);
      if (await inflates(middle)) most = middle;
      else least = middle + 1;
    }
    return most * SECTOR - within;
  }

  async #inflates(input: Uint8Array, output: Uint8Array, at: number): Promise<boolean> {
    const { header, signal } = this.#context;
    this.#codec ??= await codecFor(header);
    try {
      await this.#codec.inflate([{ input, output, at }], signal);
      return true;
    } catch (error) {
      if (!isQcow2Error(error, 'corrupt', 'unsupported')) throw error;
      return false;
    }
  }
}
