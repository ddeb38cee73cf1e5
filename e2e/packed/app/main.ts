/** Reads an image in the worker and on the page itself, and shows what came of it. */
import { type Disk, isQcow2Error, Qcow2Image } from 'qcow2';
import { openStore } from 'qcow2-opfs';

async function sha256(disk: Disk): Promise<string> {
  const bytes = new Uint8Array(disk.size);
  await disk.read(0, bytes);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The code of the error that a file which is no image gives: what is left of an error's class on the way. */
async function refusal(open: (file: Blob) => Promise<Disk>): Promise<string> {
  try {
    await open(new Blob(['no image at all']));
    return 'none';
  } catch (error) {
    return isQcow2Error(error, 'not-qcow2') ? error.code : String(error);
  }
}

async function outcome(): Promise<Record<string, string | number>> {
  const file = await (await fetch('./image.qcow2')).blob();
  await using store = await openStore();
  const remote = await store.openFile(file);
  const local = await Qcow2Image.open(file);
  let extents = 0;
  for await (const extent of remote.map()) extents += extent.length > 0 ? 1 : 0;
  return {
    size: remote.info.virtualSize,
    extents,
    inWorker: await sha256(remote),
    onPage: await sha256(local),
    refusedInWorker: await refusal((blob) => store.openFile(blob)),
    refusedOnPage: await refusal((blob) => Qcow2Image.open(blob)),
  };
}

const shown = document.querySelector('#outcome') as HTMLElement;
shown.textContent = JSON.stringify(await outcome().catch((error: unknown) => ({ error: String(error) })));
