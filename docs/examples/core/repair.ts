/** Repairing an image: an example of the README of `qcow2`, run by a test. */
// #region example
import { type BlockDevice, Qcow2Image, type RepairReport } from 'qcow2';

/** Repairs an image in place. `confirm` gets the report of a dry run, which says what would be lost. */
export async function repairImage(
  device: BlockDevice,
  confirm: (report: RepairReport) => Promise<boolean>,
): Promise<RepairReport | null> {
  const image = await Qcow2Image.open(device, { mode: 'repair' });
  try {
    const expected = await image.repair({ fix: 'all', dryRun: true });
    return (await confirm(expected)) ? await image.repair({ fix: 'all' }) : null;
  } finally {
    await image.close();
  }
}
// #endregion
