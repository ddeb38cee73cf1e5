/** Verifies an image before it is written to: whatever a check finds, but for leaks, a write could make worse. */

import type { CheckOptions, Fault, Finding } from '../../api/check-report.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import { checkSource } from './check.js';
import { Findings, type Place } from './findings.js';

/**
 * Counts every reference of the image. Space that is free by the refcounts and in use by the tables would be handed
 * out, and a cluster that two entries lead to would be written through one of them: only a count of all references can
 * tell.
 *
 * @throws {@link Qcow2Error} `corrupt` at the first that a check finds that is no leak; what the source throws; the
 *   signal's reason when it aborts.
 */
export async function verifyReferences({ source }: Qcow2Layer, options: CheckOptions): Promise<void> {
  await checkSource(source, options, new OnlyLeaks());
}

/** Ends the check at the first finding that is no leak: of a hostile image there may be more than could be read. */
class OnlyLeaks extends Findings {
  override add(kind: Finding['kind'], fault: Fault, { what, at }: Place, message: () => string): void {
    if (kind === 'leak') return;
    const text = `The image is damaged, and a write could destroy data. ${what} at ${hex(at)}: ${message()}`;
    throw new Qcow2Error('corrupt', `${text} Repair it first.`, { what, at, fault });
  }
}
