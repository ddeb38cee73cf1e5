/**
 * Verifies an image before it is written to: a write could make any damage worse but leaks, and flags that are missing
 * where a refcount is one. Those cost a copy at most.
 */

import type { CheckOptions, Fault, Finding } from '../../api/check-report.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import type { Geometry } from '../../format/geometry.js';
import { checkSource } from './check.js';
import { Findings } from './findings.js';
import type { Place } from './place.js';

/**
 * Counts every reference of the image. Without it, clusters that are in use with refcount 0 would be allocated again,
 * and a cluster with two references would be overwritten through one of them.
 *
 * @throws {@link Qcow2Error} `corrupt` at the first finding of a check that a write could make worse; what the source
 *   throws; the signal's reason when it aborts.
 */
export async function verifyReferences({ source, geometry }: Qcow2Layer, options: CheckOptions): Promise<void> {
  await checkSource(source, options, new OnlyLeaks(geometry));
}

/**
 * Ends the check at the first finding but a leak or an absent COPIED: that is enough to refuse the image. With an
 * external data file COPIED may be all that says that a cluster is allocated, so there it may not be absent.
 */
export class OnlyLeaks extends Findings {
  readonly #mayLackCopied: boolean;

  constructor({ externalData }: Pick<Geometry, 'externalData'>) {
    super();
    this.#mayLackCopied = !externalData;
  }

  protected override count(
    kind: Finding['kind'],
    fault: Fault,
    place: Place,
    message: () => string,
    count: number,
  ): void {
    if (kind === 'leak') super.count(kind, fault, place, message, count);
    if (kind === 'leak' || (fault === 'copied-missing' && this.#mayLackCopied)) return;
    const { what, at } = place;
    const text = `The image is damaged, and a write could destroy data. ${what} at ${hex(at)}: ${message()}`;
    throw new Qcow2Error('corrupt', `${text} Repair it first.`, { what, at, fault });
  }
}
