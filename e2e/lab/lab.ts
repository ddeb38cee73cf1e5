/** Owns a page with nothing but the package, for tests of what the demo page has no buttons for. */
import { isQcow2Error } from 'qcow2';
import { openStore, type Store, type WorkerImage } from 'qcow2-opfs';

/** What the tests call in the page. */
export interface Lab {
  openStore(): Promise<Store>;
  /** The code that a promise rejects with; else "fulfilled". */
  codeOf(promise: Promise<unknown>): Promise<string>;
  /** All bytes of a disk, or of a stored image's file, in base 64. */
  disk(image: WorkerImage): Promise<string>;
  file(name: string): Promise<string>;
  /**
   * Writes rounds of blocks without end, each flushed; says so after, and before: no round begins of which nobody
   * heard.
   */
  writeRounds(
    image: WorkerImage,
    started: (round: number) => Promise<void>,
    flushed: (round: number) => Promise<void>,
  ): Promise<void>;
}

/** A round writes this many blocks of that many bytes; each is full of the round's number. */
const BLOCK = 8192;
const BLOCKS = 1024;

function base64(bytes: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ''));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(bytes);
  });
}

const lab: Lab = {
  openStore: () => openStore(),
  codeOf: (promise) =>
    promise.then(
      () => 'fulfilled',
      (error: unknown) => (isQcow2Error(error) ? error.code : String(error)),
    ),
  async disk(image) {
    const bytes = new Uint8Array(image.size);
    await image.read(0, bytes);
    return base64(new Blob([bytes]));
  },
  async file(name) {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('qcow2');
    return base64(await (await folder.getFileHandle(name)).getFile());
  },
  async writeRounds(image, started, flushed) {
    for (let round = 1; ; round++) {
      await started(round);
      const bytes = new Uint8Array(new Uint32Array(BLOCK / 4).fill(round).buffer);
      const writes = Array.from({ length: 32 }, (_, step) =>
        image.write(((round * 37 + step * 61) % BLOCKS) * BLOCK, bytes),
      );
      await Promise.all([...writes, image.flush()]);
      void flushed(round);
    }
  },
};

Object.assign(window, { lab });
