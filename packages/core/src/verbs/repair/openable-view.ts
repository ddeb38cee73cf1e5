/** A view of a damaged image that can be opened. */
import type { BlockDevice } from '../../api/device.js';
import { geometryIn, readHeader, readTables } from '../../engine/layer/metadata.js';
import { isQcow2Error } from '../../errors.js';
import { OverlayMedium } from './medium.js';
import { correctBitmaps } from './repair-bitmaps.js';
import { contextOf } from './repair-context.js';
import { correctHeader } from './repair-header.js';
import { RepairLog } from './repair-log.js';
import { planSnapshots, writeSnapshots } from './repair-snapshots.js';

/**
 * Corrects in memory what prevents opening: header fields, header extensions, the snapshot table, the bitmap directory.
 * Nothing is written to the device.
 *
 * @throws {@link Qcow2Error} when the header or the active L1 table cannot be read; what the device throws.
 */
export async function openableView(device: BlockDevice, signal: AbortSignal | undefined): Promise<OverlayMedium> {
  const view = new OverlayMedium(device);
  const log = new RepairLog();
  await correctHeader(view, log, signal, 'view');
  if (await hasReadableTables(view, signal)) return view;
  const context = await contextOf(view, log, { signal }, null);
  const { header, geometry } = context;
  const snapshots = await writeSnapshots(context, await planSnapshots(view, header, geometry, log, signal));
  await snapshots.commit();
  const bitmaps = await correctBitmaps(context, () => false);
  await bitmaps.commit();
  return view;
}

async function hasReadableTables(view: OverlayMedium, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const { header, extensions } = await readHeader(view, signal);
    await readTables(view, header, extensions, await geometryIn({ header, extensions }, view.size), signal);
    return true;
  } catch (error) {
    if (isQcow2Error(error, 'corrupt', 'unsupported')) return false;
    throw error;
  }
}
