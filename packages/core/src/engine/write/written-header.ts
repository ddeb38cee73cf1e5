/** The header of an image that is open for writing: its fields in memory and the sector that contains them. */

import type { Transfer } from '../../api/device.js';
import { diskSizeOf } from '../../format/header.js';
import { withCurrentFields } from '../../format/header-fields.js';
import { bytesOf } from '../../format/view-bytes.js';
import type { Qcow2Layer } from '../layer/layer.js';

/** Changes fields in sector 0, and keeps the layer's header and its size equal to them. */
export class WrittenHeader {
  readonly #layer: Qcow2Layer;
  readonly #sector: DataView;
  #revision = 0;

  /** `sector` is sector 0 of the image file. */
  constructor(layer: Qcow2Layer, sector: DataView) {
    this.#layer = layer;
    this.#sector = sector;
  }

  /** Incremented by every change of the header, and of what the layer says of bitmaps. */
  get revision(): number {
    return this.#revision;
  }

  /** Changes fields; returns the write of the sector, or null when `edit` changed nothing. */
  change(edit: (sector: DataView) => void): Transfer | null {
    const bytes = bytesOf(this.#sector);
    const before = bytes.slice();
    edit(this.#sector);
    if (before.every((byte, index) => byte === bytes[index])) return null;
    this.#layer.header = withCurrentFields(this.#layer.header, this.#sector);
    this.#layer.size = diskSizeOf(this.#layer.header);
    this.#revision++;
    return { at: 0, bytes };
  }

  /** Copies the part of `transfer`, a write to the header's cluster, that is in sector 0. */
  include({ at, bytes }: Transfer): void {
    const inSector = Math.min(bytes.length, this.#sector.byteLength - at);
    if (inSector > 0)
      this.change(({ buffer, byteOffset }) => new Uint8Array(buffer, byteOffset).set(bytes.subarray(0, inSector), at));
  }

  /** Records that what the layer says of its bitmaps has changed. */
  bitmapsChanged(): void {
    this.#revision++;
  }
}
