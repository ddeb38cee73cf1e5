/** A worker that compacts an image in OPFS, or copies as much with a bare handle. */
import { OpfsDevice } from '../../opfs/dist/worker/storage/opfs-device.js';
import { Qcow2Image } from '../src/index.js';
import { compactTurn, copyTurn, makeHalfDiscarded } from './space.js';

const NAME = 'space.qcow2';

/** @typedef {import('./space.js').SpaceWork} SpaceWork */

/** @param {SpaceWork} how */
async function takeTurn(how) {
  const folder = await navigator.storage.getDirectory();
  await folder.removeEntry(NAME).catch(() => {});
  const handle = await (await folder.getFileHandle(NAME, { create: true })).createSyncAccessHandle();
  const device = new OpfsDevice(handle);
  try {
    const image = await makeHalfDiscarded(Qcow2Image, device);
    if (how !== 'copy') {
      const turn = await compactTurn(image, how === 'compact and read');
      await image.close();
      return turn;
    }
    await image.close();
    return copyTurn({
      read: (bytes, at) => handle.read(bytes, { at }),
      write: (bytes, at) => handle.write(bytes, { at }),
      truncate: (size) => handle.truncate(size),
      flush: () => handle.flush(),
    });
  } finally {
    device.close();
  }
}

addEventListener('message', async (/** @type {MessageEvent<SpaceWork>} */ { data }) => {
  postMessage(await takeTurn(data));
});
