/** Owns the going of bitmaps that a writer cannot keep up to date: nothing may be left of them that looks true. */

import type { Transfer } from '../../../api/device.js';
import { dropExtensions } from '../../../format/encode-extensions.js';
import { EXTENSION } from '../../../format/extensions.js';
import { AUTOCLEAR } from '../../../format/header.js';
import type { Qcow2Layer } from '../../layer/layer.js';
import type { Freed } from '../../mapping/cluster-mapping.js';

/** The bitmaps of one image, all of which go before its first change. */
export class UntrackedBitmaps {
  /**
   * The clusters that they alone hold: directory, tables and bits. What is not sure to be theirs is left, as a leak.
   */
  readonly clusters: readonly Freed[];
  readonly #layer: Qcow2Layer;

  constructor(layer: Qcow2Layer, clusters: readonly Freed[]) {
    this.#layer = layer;
    this.clusters = clusters;
  }

  /** What takes their extension out of the header, when its autoclear bit is off. */
  extensionTransfers(): Transfer[] {
    return dropExtensions(this.#layer.extensions, EXTENSION.bitmaps);
  }

  /** Says that the header does not lead to them any more. */
  dropped(): void {
    const layer = this.#layer;
    const { header } = layer;
    layer.header = {
      ...header,
      autoclearFeatures: header.autoclearFeatures.filter((bit) => bit !== AUTOCLEAR.bitmaps),
    };
    layer.extensions = layer.extensions.filter(({ type }) => type !== EXTENSION.bitmaps);
    layer.bitmaps = [];
  }
}
