/** Holds the images that are open in the worker, by the number of the call that opened each. */
import { type ImageInfo, Qcow2Error, type Qcow2Image } from 'qcow2';
import type { Changed, ImageState } from '../../protocol/messages.js';
import type { OpenImage } from '../store/held-image.js';

interface Entry {
  readonly open: OpenImage;
  /** The number of the image whose snapshot this one shows; null when it is none. */
  readonly viewed: number | null;
  /** What the page has been told of it. */
  told: ImageInfo;
}

/** The images of one worker. */
export class OpenImages {
  readonly #images = new Map<number, Entry>();

  /** Keeps an image; what the page is told of it. `viewed` is the number of the image that it is a snapshot of. */
  add(id: number, open: OpenImage, viewed: number | null = null): ImageState {
    const state = stateOf(open.image);
    this.#images.set(id, { open, viewed, told: state.info });
    return state;
  }

  /**
   * What the page is told of an image after a change of it: its state when that is another, else the length of the
   * file.
   */
  changed(id: number, image: Qcow2Image): Changed {
    const { info } = image;
    const entry = this.#images.get(id);
    const same = entry !== undefined && differInFileSizeAlone(entry.told, info);
    if (entry) entry.told = info;
    return { state: same ? null : stateOf(image), fileSize: info.fileSize };
  }

  /** @throws {@link Qcow2Error} `closed` when it is not open any more */
  get(id: number): Qcow2Image {
    const entry = this.#images.get(id);
    if (!entry) throw new Qcow2Error('closed', 'The image was closed.');
    return entry.open.image;
  }

  /**
   * Hands out an image to be closed, and forgets it and its snapshots, which end with it.
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

function stateOf({ size, info }: Qcow2Image): ImageState {
  return { size, info, snapshots: info.snapshots, bitmaps: info.bitmaps };
}

/**
 * The engine builds anew only what has changed: the same parts are the same objects. The length of the file changes
 * most often.
 */
function differInFileSizeAlone(before: ImageInfo, now: ImageInfo): boolean {
  if (before === now) return true;
  return (Object.keys(now) as (keyof ImageInfo)[]).every((key) => key === 'fileSize' || before[key] === now[key]);
}
