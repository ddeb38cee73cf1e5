/** Lists a store's images and their bases without opening one for the page. */
import type { StoredImage, StoredImageError } from '../../protocol/stored-image.js';
import type { Folder } from '../storage/folder.js';
import { type Bases, overlaysOf } from './bases.js';
import type { ImageLocks } from './image-locks.js';
import { imageNotFound } from './image-not-found.js';
import { type StoredHeader, StoredHeaders } from './stored-headers.js';

const LOCKED: StoredImageError = { code: 'locked', message: 'The image is being changed in this or another tab.' };

/** Describes the images of a folder. */
export class StoredImages {
  readonly #folder: Folder;
  readonly #locks: ImageLocks;
  readonly #headers: StoredHeaders;

  constructor(folder: Folder, locks: ImageLocks) {
    this.#folder = folder;
    this.#locks = locks;
    this.#headers = new StoredHeaders(folder);
  }

  /** Every image, sorted by name, including locked ones and those with an invalid header. */
  async list(): Promise<StoredImage[]> {
    const headers = await this.#headers.each((name) => this.#readHeader(name));
    const bases = basesOf(headers);
    return headers.map((header) => storedImage(header, bases));
  }

  /**
   * The list's entry of one image.
   *
   * @throws {@link Qcow2Error} `not-found`
   */
  async stat(name: string): Promise<StoredImage> {
    const header = (await this.#readHeader(name)) ?? imageNotFound(name);
    return storedImage(header, await this.bases());
  }

  /** Whether there is a file of that name. */
  async has(name: string): Promise<boolean> {
    return (await this.#folder.file(name)) !== null;
  }

  /**
   * Which image is based on which, read from the headers alone. Includes images that are being changed, whose base
   * stays the same.
   */
  async bases(): Promise<Bases> {
    return basesOf(await this.#headers.each((name) => this.#headers.of(name)));
  }

  /** The name of the backing file of one image, as in {@link bases}; null also when there is no such image. */
  async baseOf(name: string): Promise<string | null> {
    return (await this.#headers.of(name))?.base ?? null;
  }

  /** Total length of all images, in bytes. */
  async usage(): Promise<number> {
    let usage = 0;
    for (const name of await this.#folder.names()) usage += (await this.#folder.file(name))?.size ?? 0;
    return usage;
  }

  /** The header of an image; only its base while the image is being changed. */
  async #readHeader(name: string): Promise<StoredHeader | null> {
    const release = await this.#locks.tryRead(name);
    try {
      const header = await this.#headers.of(name);
      return header && !release ? { ...header, info: undefined, error: LOCKED } : header;
    } finally {
      release?.();
    }
  }
}

function basesOf(headers: readonly StoredHeader[]): Bases {
  return new Map(headers.map(({ name, base }) => [name, base]));
}

function storedImage({ name, size, lastModified, info, error }: StoredHeader, bases: Bases): StoredImage {
  return { name, fileSize: size, lastModified, info, error, overlays: overlaysOf(name, bases) };
}
