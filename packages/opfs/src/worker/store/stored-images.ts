/** What is known of a store's images without opening one for the page: the list, and which is based on which. */
import { isQcow2Error, Qcow2Image } from 'qcow2';
import type { StoredImage } from '../../protocol/stored-image.js';
import type { Folder, FolderFile } from '../storage/folder.js';
import { BaseNames } from './base-names.js';
import { type Bases, overlaysOf } from './bases.js';
import type { ImageLocks } from './image-locks.js';

/** How many images are looked at in parallel: each may have an L1 table of 32 MiB. */
const PARALLEL = 8;

type Entry = Omit<StoredImage, 'overlays'>;

/** Looks at the images of a folder. */
export class StoredImages {
  readonly #folder: Folder;
  readonly #locks: ImageLocks;
  readonly #baseNames: BaseNames;

  constructor(folder: Folder, locks: ImageLocks) {
    this.#folder = folder;
    this.#locks = locks;
    this.#baseNames = new BaseNames(folder);
  }

  /** Every image, sorted by name: also those that are locked, and those that cannot be opened. */
  async list(): Promise<StoredImage[]> {
    const [bases, entries] = await Promise.all([
      this.#baseNames.all(),
      this.#entries(async (name, file) => {
        const release = await this.#locks.tryRead(name);
        if (!release) return lockedEntry(name, file);
        try {
          return await inspect(name, file);
        } finally {
          release();
        }
      }),
    ]);
    return entries.map((entry) => ({ ...entry, overlays: overlaysOf(entry.name, bases) }));
  }

  /**
   * Which image is based on which, by the headers alone. Also of images that are being changed: what their header says
   * of it stays.
   */
  bases(): Promise<Bases> {
    return this.#baseNames.all();
  }

  /** The name of the backing file of one image, as in {@link bases}. */
  baseOf(name: string): Promise<string | null> {
    return this.#baseNames.of(name);
  }

  /** The bytes that all images are long. */
  async usage(): Promise<number> {
    let usage = 0;
    for (const name of await this.#folder.names()) usage += (await this.#folder.file(name))?.size ?? 0;
    return usage;
  }

  async #entries(look: (name: string, file: FolderFile) => Promise<Entry>): Promise<Entry[]> {
    const names = await this.#folder.names();
    const entries: Entry[] = [];
    for (let first = 0; first < names.length; first += PARALLEL) {
      const some = names.slice(first, first + PARALLEL).map(async (name) => {
        const file = await this.#folder.file(name);
        return file && look(name, file);
      });
      // One that has just been removed is not there.
      for (const entry of await Promise.all(some)) if (entry) entries.push(entry);
    }
    return entries;
  }
}

function lockedEntry(name: string, file: FolderFile): Entry {
  const error = { code: 'locked', message: 'The image is being changed in this or another tab.' } as const;
  return entryOf(name, file, { info: null, error });
}

function entryOf(name: string, { size, lastModified }: FolderFile, rest: Pick<Entry, 'info' | 'error'>): Entry {
  return { name, fileSize: size, lastModified, ...rest };
}

async function inspect(name: string, file: FolderFile): Promise<Entry> {
  try {
    const image = await Qcow2Image.open(file.source);
    await image.close();
    return entryOf(name, file, { info: image.info, error: null });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return entryOf(name, file, { info: null, error: { code: isQcow2Error(error) ? error.code : 'io', message } });
  }
}
