/**
 * Owns the verification of an image before it is written to: whatever a check finds, but for leaks, a write could make
 * worse.
 */

import type { CheckOptions, Finding } from '../../api/options.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import { l2TableOffset } from '../../format/entries.js';
import { checkSource } from './check.js';

/**
 * Counts every reference of the image. Space that is free by the refcounts and in use by the tables would be handed
 * out, and a cluster that two entries lead to would be written through one of them: only a count of all references can
 * tell.
 *
 * @throws {@link Qcow2Error} `corrupt` when a check finds anything but leaks; what the source throws; the signal's
 *   reason when it aborts.
 */
export async function verifyReferences({ source, tables, header }: Qcow2Layer, options: CheckOptions): Promise<void> {
  refuseRepeatedTables(tables.l1, header.l1TableOffset);
  const { report } = await checkSource(source, options);
  const { corruptions, checkErrors, beyond, findings } = report;
  const first = findings.find(({ kind }) => kind !== 'leak');
  if (first !== undefined) throw damage(first, corruptions + checkErrors + beyond);
}

/**
 * Without this, a small file could have one table read millions of times. No writer makes an L1 table that names a
 * table twice.
 */
function refuseRepeatedTables(l1: DataView, l1At: number): void {
  const seen = new Set<number>();
  for (let index = 0; index * 8 < l1.byteLength; index++) {
    const at = l2TableOffset(l1, index);
    if (at === 0) continue;
    if (seen.has(at)) {
      const message = `L1 entry ${index} leads to the L2 table at ${hex(at)}, as another entry does. Repair the image first.`;
      throw new Qcow2Error('corrupt', message, { what: `L1 entry ${index}`, at: l1At + index * 8 });
    }
    seen.add(at);
  }
}

function damage({ what, at, message, fault }: Finding, faults: number): Qcow2Error {
  const others = faults > 1 ? ` A check lists ${faults} faults.` : '';
  const text = `The image is damaged, and a write could destroy data. ${what} at ${hex(at)}: ${message}${others} Repair it first.`;
  return new Qcow2Error('corrupt', text, { what, at, fault });
}
