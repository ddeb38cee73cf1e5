/** The parts of a check that QEMU does not have. They add to no figure of its. */
import type { Codec } from '../../../engine/layer/codec.js';
import type { CheckContext } from '../check-context.js';
import type { Counting } from '../count-references.js';
import type { L1Table } from '../l1-table.js';
import { checkBitmapBits } from './check-bitmap-bits.js';
import { checkHeader } from './check-header.js';
import { checkLuks } from './check-luks.js';
import { checkStreams } from './check-streams.js';

/**
 * Checks what a count of references does not see; `tables` are the L1 tables that it walked. Without a codec,
 * compressed clusters are left out.
 */
export async function checkDeep(
  context: CheckContext,
  tables: readonly L1Table[],
  counting: Counting,
  codec: Codec | undefined,
): Promise<void> {
  checkHeader(context, counting.extensions);
  await checkLuks(context, counting.extensions);
  await checkBitmapBits(context, counting);
  if (codec !== undefined && context.hasCompressed) await checkStreams(context, tables, counting, codec);
}
