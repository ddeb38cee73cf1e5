/** A snapshot before something that may fail, and the way back. */
// #region example
import type { Qcow2Image } from 'qcow2';

/** Runs `change`; when it fails, the disk is what it was before. */
export async function tryChanges(image: Qcow2Image, change: () => Promise<void>): Promise<void> {
  const { id } = await image.createSnapshot('before the change');
  try {
    await change();
  } catch (error) {
    await image.applySnapshot({ id }); // the disk has its old contents and its old size
    throw error;
  } finally {
    await image.deleteSnapshot({ id });
  }
}
// #endregion
