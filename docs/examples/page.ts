/** The README's example for a page; run by a test. */
// #region example
import { openStore } from 'qcow2-opfs';

export async function inspect(file: File): Promise<string> {
  const store = await openStore(); // one worker, for all images
  const image = await store.openFile(file); // read in place: nothing is copied, nothing leaves the computer
  let stored = 0;
  for await (const extent of image.map()) if (extent.data) stored += extent.length;
  const bootSector = await image.read(0, 512); // any byte range, through compression and backing files
  await store.close();
  return `${image.size} bytes, ${stored} of them stored, signature ${bootSector[510]} ${bootSector[511]}`;
}
// #endregion
