/** Errors by code: an example of the README of `qcow2`, run by a test. */
// #region example
import { isQcow2Error, Qcow2Image } from 'qcow2';

/** Opens a file, or says in a sentence why it cannot be opened. */
export async function openOrExplain(file: Blob): Promise<Qcow2Image | string> {
  try {
    return await Qcow2Image.open(file);
  } catch (error) {
    if (isQcow2Error(error, 'not-qcow2', 'unsupported')) return error.message;
    if (isQcow2Error(error, 'corrupt')) return `${error.details.what} at byte ${error.details.at}: ${error.message}`;
    throw error; // not about the image
  }
}
// #endregion
