/** Importing images: an example of the README of `qcow2-opfs`, run by a test. */
// #region example
import { isQcow2Error, type Progress } from 'qcow2';
import type { Store } from 'qcow2-opfs';

/** Copies a file, or the body of a `Response`, into OPFS. After an abort or an error nothing is left of it. */
export async function keep(
  store: Store,
  name: string,
  from: Blob | ReadableStream<Uint8Array>,
  options: { signal: AbortSignal; onProgress: (progress: Progress) => void },
): Promise<'kept' | 'exists' | 'no-space'> {
  try {
    await store.import(name, from, options);
    return 'kept';
  } catch (error) {
    if (isQcow2Error(error, 'exists')) return 'exists';
    if (isQcow2Error(error, 'no-space')) return 'no-space';
    throw error;
  }
}
// #endregion
