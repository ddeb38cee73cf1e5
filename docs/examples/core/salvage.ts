/** Reading a damaged image: an example of the README of `qcow2`, run by a test. */
// #region example
import { type LostRange, Qcow2Image } from 'qcow2';

/** The whole disk as a stream, with zeros where the image is damaged. At its end `lost` has every lost range. */
export async function salvageDisk(file: Blob): Promise<{ disk: ReadableStream<Uint8Array>; lost: LostRange[] }> {
  const image = await Qcow2Image.open(file);
  const lost: LostRange[] = []; // in order: { start, length, code, message, what, layer }
  const disk = image.readable(undefined, { salvage: true, onLost: (range) => lost.push(range) });
  return { disk, lost };
}
// #endregion
