/** The README's example for a worker of one's own; run by a test. */
// #region example
import { isQcow2Error, Qcow2Image } from 'qcow2';

/** `files` are those a person chose: the image first, then the files it may be based on. */
export async function rawDisk(files: File[]): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  try {
    const resolve = async ({ name }: { name: string }) => files.find((file) => file.name === name);
    const image = await Qcow2Image.open(files[0]!, { resolve });
    return image.readable(); // the guest's bytes, as a byte stream
  } catch (error) {
    if (isQcow2Error(error, 'not-qcow2')) throw new Error(`Choose another file. ${error.message}`);
    throw error;
  }
}
// #endregion
