/** Holds the images that are open in the worker, by the number of the call that opened each. */
import { type ImageInfo, Qcow2Error, type Qcow2Image } from 'qcow2';
import { revisionOf } from 'qcow2/internal';
import type { Changed } from '../../protocol/messages.js';
import type { OpenImage } from '../store/held-image.js';

interface Entry {
  readonly open: OpenImage;
  /** The number of the image whose snapshot this one shows; null when it is none. */
  readonly viewed: number | null;
  /** The revision of the state that the page has. */
  sent: number;
}

/** The images of one worker. */
export class OpenImages {
  readonly #images = new Map<number, Entry>();

  /** Keeps an image. Returns its state for the page. `viewed` is the number of the image that it is a snapshot of. */
  add(id: number, open: OpenImage, viewed: number | null = null): ImageInfo {
    this.#images.set(id, { open, viewed, sent: revisionOf(open.image) });
    return open.image.info;
  }

  /** What crosses after a change of an image: its state when the page has another, and the length of the file. */
  changed(id: number, image: Qcow2Image): Changed {
    const { info } = image;
    const revision = revisionOf(image);
    const entry = this.#images.get(id);
    const known = entry?.sent === revision;
    if (entry) entry.sent = revision;
    return { info: known ? null : info, fileSize: info.fileSize };
  }

  /** @throws {@link Qcow2Error} `closed` when it is not open any more */
  get(id: number): Qcow2Image {
    const entry = this.#images.get(id);
    if (!entry) throw new Qcow2Error('closed', 'The image was closed.');
    return entry.open.image;
  }

  /**
   * Removes an image, which is to be closed, and its snapshots, which end with it.
   *
   * @returns the image, undefined when it is not there; and the numbers of what ends, its own and those of its
   *   snapshots
   */
  take(id: number): { open: OpenImage | undefined; ended: number[] } {
    const open = this.#images.get(id)?.open;
    const views = [...this.#images].filter(([, { viewed }]) => viewed === id).map(([view]) => view);
    const ended = [id, ...views];
    for (const each of ended) this.#images.delete(each);
    return { open, ended };
  }

  /** Closes every image, whatever comes of it. */
  async closeAll(): Promise<void> {
    const entries = [...this.#images.values()];
    this.#images.clear();
    await Promise.allSettled(entries.map(({ open }) => open.close()));
  }
}
