/** Owns what is known of a store's images without opening one for somebody: the list, and who is based on whom. */
import { type ImageInfo, isQcow2Error, Qcow2Image } from 'qcow2';
import { type Bases, leadsTo, overlaysOf } from './bases.js';
import type { Folder, FolderFile } from './folder.js';
import { storedFile } from './image-name.js';
import type { ImageLocks } from './lock.js';
import type { StoredImage } from './stored-image.js';

/** How many images are looked at in parallel: each may have an L1 table of 32 MiB. */
const PARALLEL = 8;

type Entry = Omit<StoredImage, 'overlays'>;

/** Looks at the images of a folder. */
export class Inventory {
  readonly #folder: Folder;
  readonly #locks: ImageLocks;

  constructor(folder: Folder, locks: ImageLocks) {
    this.#folder = folder;
    this.#locks = locks;
  }

  /** Every image, sorted by name: also those that are locked, and those that cannot be opened. */
  async list(): Promise<StoredImage[]> {
    const inspected: Entry[] = [];
    const entries = await this.#entries(async (name, file) => {
      const release = await this.#locks.tryRead(name);
      try {
        const entry = await inspect(name, file);
        // Also one that is being changed is based on something: what its header says of that stays.
        inspected.push(entry);
        return release ? entry : lockedEntry(name, file);
      } finally {
        release?.();
      }
    });
    const bases = basesOf(inspected);
    return entries.map((entry) => ({ ...entry, overlays: overlaysOf(entry.name, bases) }));
  }

  /** The images that are directly based on `name`. */
  async overlaysOf(name: string): Promise<string[]> {
    // A lock keeps nobody from being based on it: what is stored is complete.
    return overlaysOf(name, basesOf(await this.#entries(inspect)));
  }

  /**
   * Whether an image of that information cannot be called `name`, since it is based on an image of that name: directly, or through
   * the images of this store.
   */
  async leadsTo({ backingFile }: Pick<ImageInfo, 'backingFile'>, name: string): Promise<boolean> {
    if (backingFile === undefined) return false;
    const entries = await this.#entries(inspect);
    return leadsTo(storedName(backingFile), name, new Map(entries.map((entry) => [entry.name, baseOf(entry)])));
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

function basesOf(entries: readonly Entry[]): Bases {
  const named = new Set(entries.map(({ name }) => name));
  const base = (entry: Entry): string | null => {
    const name = baseOf(entry);
    return name !== null && named.has(name) ? name : null;
  };
  return new Map(entries.map((entry) => [entry.name, base(entry)]));
}

/** The name of an image's backing file, as this store has it. */
function baseOf({ info }: Entry): string | null {
  return info?.backingFile === undefined ? null : storedName(info.backingFile);
}

function storedName(backingFile: string): string | null {
  return storedFile(backingFile)?.name ?? null;
}
