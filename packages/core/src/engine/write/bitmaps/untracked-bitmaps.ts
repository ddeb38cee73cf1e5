/** Removes bitmaps that this writer cannot maintain. A crash at any point must not leave one that still looks valid. */

import type { Transfer } from '../../../api/device.js';
import { dropExtensions } from '../../../format/encode-extensions.js';
import { EXTENSION } from '../../../format/extensions.js';
import type { Qcow2Layer } from '../../layer/layer.js';
import type { Freed } from '../../mapping/cluster-mapping.js';

/** The bitmaps of one image, all of which are removed before its first change. */
export class UntrackedBitmaps {
  /**
   * The clusters that only the bitmaps use: directory, tables and bits. A cluster that may have another use is leaked.
   */
  readonly clusters: readonly Freed[];
  readonly #layer: Qcow2Layer;

  constructor(layer: Qcow2Layer, clusters: readonly Freed[]) {
    this.#layer = layer;
    this.clusters = clusters;
  }

  /** The transfers that remove the bitmaps extension from the header, after its autoclear bit is cleared. */
  extensionTransfers(): Transfer[] {
    return dropExtensions(this.#layer.extensions, EXTENSION.bitmaps);
  }

  /** Removes the bitmaps from the layer in memory, once the header on the medium no longer refers to them. */
  dropped(): void {
    const layer = this.#layer;
    layer.extensions = layer.extensions.filter(({ type }) => type !== EXTENSION.bitmaps);
    layer.bitmaps = [];
  }
}
