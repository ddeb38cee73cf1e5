/** The hash of a disk: an example of the README of `qcow2`, run by a test. */
// #region example
import { Qcow2Image } from 'qcow2';
import { fileSource, nodeHash } from 'qcow2/node';

/** What `sha256sum` prints of the raw disk. */
export async function sha256(path: string): Promise<string> {
  const file = fileSource(path);
  const image = await Qcow2Image.open(file);
  const hash = await image.digest('SHA-256', { createHash: nodeHash });
  await image.close();
  file.close?.();
  return Buffer.from(hash).toString('hex');
}
// #endregion
