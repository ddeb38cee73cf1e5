/** Checking an image: an example of the README of `qcow2`, run by a test. */
// #region example
import { type Progress, Qcow2Image } from 'qcow2';

/** The figures of `qemu-img check`, and each finding with its offset in the file. */
export async function checkImage(file: Blob, signal: AbortSignal, onProgress: (progress: Progress) => void) {
  const image = await Qcow2Image.open(file);
  const report = await image.check({ signal, onProgress });
  await image.close();
  const findings = report.findings.map(({ what, at, message }) => `${what} at ${at}: ${message}`);
  return { sound: report.corruptions + report.leaks === 0, findings };
}
// #endregion
