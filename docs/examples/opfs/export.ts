/** Exporting images: an example of the README of `qcow2-opfs`, run by a test. */
// #region example
import type { Store } from 'qcow2-opfs';

/** Writes an image into a file: one of OPFS, or one that a person chose with `showSaveFilePicker`. */
export async function saveAsRaw(store: Store, name: string, to: FileSystemFileHandle): Promise<void> {
  await store.export(name, { format: 'raw', to }); // the disk as the guest sees it; `'qcow2'` is the image's file
}

/** Uploads an image. Without `to` an export is a stream. */
export async function upload(store: Store, name: string, send: (body: ReadableStream) => Promise<void>): Promise<void> {
  await send(await store.export(name, { format: 'qcow2' }));
}
// #endregion
