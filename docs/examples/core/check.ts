/** Checking an image: an example of the README of `qcow2`, run by a test. */
// #region example
import { type Progress, Qcow2Image } from 'qcow2';

/** Whether the image is sound, and what was found: the worst first, each with its first place in the file. */
export async function checkImage(file: Blob, signal: AbortSignal, onProgress: (progress: Progress) => void) {
  const image = await Qcow2Image.open(file);
  const report = await image.check({ signal, onProgress });
  await image.close();
  const findings = report.findings.map(({ impact, count, places: [place] }) => {
    return `${impact}, ${count} in all. ${place?.what} at ${place?.at}: ${place?.message}`;
  });
  return { sound: report.corruptions + report.leaks === 0, findings };
}
// #endregion
