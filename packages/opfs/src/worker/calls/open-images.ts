/** Keeps the images open in the worker, by the number of the call that opened each. */
import { type ImageInfo, Qcow2Error, type Qcow2Image } from 'qcow2';
import { revisionOf } from 'qcow2/internal';
import type { Changed } from '../../protocol/messages.js';
import type { OpenImage } from '../store/open-image.js';

interface Entry {
  readonly open: OpenImage;
  /** For the view of a snapshot, the number of its image; otherwise null. */
  readonly viewed: number | null;
  /** The revision of the state last sent to the page. */
  sent: number;
}

/** The images of one worker. */
export class OpenImages {
  readonly #images = new Map<number, Entry>();

  /** Adds an image. Returns its state for the page. `viewed` is the number of the image that it is a snapshot of. */
  add(id: number, open: OpenImage, viewed: number | null = null): ImageInfo {
    this.#images.set(id, { open, viewed, sent: revisionOf(open.image) });
    return open.image.info;
  }

  /** The message after a change of an image: its state if that changed, and the length of the file. */
  changed(id: number, image: Qcow2Image): Changed {
    const { info } = image;
    const revision = revisionOf(image);
    const entry = this.#images.get(id);
    const known = entry?.sent === revision;
    if (entry) entry.sent = revision;
    return { info: known ? null : info, fileSize: info.fileSize };
  }

  /** The message after a change that failed on the page: all of the state, since the page may have dropped another. */
  current(id: number): Changed {
    const { info } = this.get(id);
    return { info, fileSize: info.fileSize };
  }

  /** @throws {@link Qcow2Error} `closed` when it is not open any more */
  get(id: number): Qcow2Image {
    const entry = this.#images.get(id);
    if (!entry) throw new Qcow2Error('closed', 'The image was closed.');
    return entry.open.image;
  }

  /**
   * Removes an image that is to be closed, and the views of its snapshots.
   *
   * @returns the image, undefined when it is not there; and the numbers of the removed images, its own and those of its
   *   snapshots
   */
  take(id: number): { open: OpenImage | undefined; ended: number[] } {
    const open = this.#images.get(id)?.open;
    const views = [...this.#images].filter(([, { viewed }]) => viewed === id).map(([view]) => view);
    const ended = [id, ...views];
    for (const each of ended) this.#images.delete(each);
    return { open, ended };
  }

  /** Closes every image. Errors are ignored. */
  async closeAll(): Promise<void> {
    const entries = [...this.#images.values()];
    this.#images.clear();
    await Promise.allSettled(entries.map(({ open }) => open.close()));
  }
}
