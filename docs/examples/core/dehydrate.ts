/** Dehydrating an image: an example of the README of `qcow2`, run by a test. */
// #region example
import { bufferDevice, type CheckReport, Qcow2Image, rehydrate } from 'qcow2';

/** A file of a few KiB to attach to a report: the tables of an image, without the guest's data and without names. */
export async function tablesOf(file: Blob): Promise<Blob> {
  const image = await Qcow2Image.open(file);
  const tables = await new Response(image.dehydrate({ names: false })).blob();
  await image.close();
  return tables;
}

/** What the reader of the report does with it. */
export async function checkTables(tables: Blob): Promise<CheckReport> {
  const device = bufferDevice();
  await rehydrate(tables, device);
  const image = await Qcow2Image.open(device);
  return image.check();
}
// #endregion
