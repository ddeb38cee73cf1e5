/** Owns the images that are open in the worker, by the number of the call that opened each. */
import { Qcow2Error, type Qcow2Image } from 'qcow2';
import type { OpenImage } from './held-image.js';
import type { Changed, ImageState } from './protocol.js';

/** The images of one worker. */
export class OpenImages {
  readonly #images = new Map<number, OpenImage>();
  /** What the page was last told of each image, as text, without the length of its file. */
  readonly #told = new Map<number, string>();

  /** Keeps an image; what the page is told of it. */
  add(id: number, open: OpenImage): ImageState {
    this.#images.set(id, open);
    const state = stateOf(open.image);
    this.#told.set(id, textOf(state));
    return state;
  }

  /** What the page must hear of an image after a change of it: the state when it is another, else the length of the file. */
  changed(id: number, image: Qcow2Image): Changed {
    const state = stateOf(image);
    const text = textOf(state);
    const same = this.#told.get(id) === text;
    this.#told.set(id, text);
    return { state: same ? null : state, fileSize: state.info.fileSize };
  }

  /** @throws {@link Qcow2Error} `closed` when it is not open any more */
  get(id: number): Qcow2Image {
    const open = this.#images.get(id);
    if (!open) throw new Qcow2Error('closed', 'The image was closed.');
    return open.image;
  }

  /** Hands out an image to be closed: nobody gets it any more. Undefined when it is gone. */
  take(id: number): OpenImage | undefined {
    const open = this.#images.get(id);
    this.#images.delete(id);
    this.#told.delete(id);
    return open;
  }

  /** Closes every image, whatever comes of it. */
  async closeAll(): Promise<void> {
    const images = [...this.#images.values()];
    this.#images.clear();
    await Promise.allSettled(images.map((image) => image.close()));
  }
}

function stateOf({ size, info }: Qcow2Image): ImageState {
  return { size, info, snapshots: info.snapshots, bitmaps: info.bitmaps };
}

/** The length of the file changes with most writes, and crosses by itself. */
function textOf({ size, info }: ImageState): string {
  return JSON.stringify([size, { ...info, fileSize: 0 }]);
}
