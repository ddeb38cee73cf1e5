/**
 * Knows which image of a store is based on which: reads headers alone, and each again only when its file has changed.
 */
import { type ByteSource, blobSource, isQcow2Error } from 'qcow2';
import { readBackingName } from 'qcow2/internal';
import { storedFile } from '../../protocol/image-name.js';
import type { Folder, FolderFile } from '../storage/folder.js';
import type { Bases } from './bases.js';

/** How many headers are read in parallel, of 64 KiB each. */
const PARALLEL = 16;
/**
 * A file that was written this recently can be written again without another date, and is read again the next time:
 * file systems keep dates to 2 seconds at worst (FAT). Milliseconds.
 */
const RECENT = 2000;
/** How often a file is looked at anew that was changed while its header was read. */
const TRIES = 5;

/** What is known of a file as long as its size and date stay. */
interface Known {
  readonly size: number;
  readonly lastModified: number;
  readonly base: string | null;
}

/** The names of the bases of a folder's images. */
export class BaseNames {
  readonly #folder: Folder;
  /** By the name of the image; of those alone that were there when all were last looked at. */
  #known = new Map<string, Known>();

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  /**
   * For each image the name that this store has for its backing file, whether there is an image of that name or not;
   * null when it has none, or when its header cannot be read.
   */
  async all(): Promise<Bases> {
    const names = await this.#folder.names();
    const known = new Map<string, Known>();
    const bases = new Map<string, string | null>();
    const look = async (name: string): Promise<void> => {
      const looked = await this.#look(name);
      // One that has just been removed is not there.
      if (looked === null) return;
      bases.set(name, looked.base);
      if (Date.now() - looked.lastModified > RECENT) known.set(name, looked);
    };
    for (let first = 0; first < names.length; first += PARALLEL) {
      await Promise.all(names.slice(first, first + PARALLEL).map(look));
    }
    this.#known = known;
    return bases;
  }

  /** As {@link all}, of one image; null also when there is none. */
  async of(name: string): Promise<string | null> {
    return (await this.#look(name))?.base ?? null;
  }

  async #look(name: string): Promise<Known | null> {
    for (let tries = 1; ; tries++) {
      const file = await this.#folder.file(name);
      if (!file) return null;
      const { size, lastModified } = file;
      const known = this.#known.get(name);
      if (known?.size === size && known.lastModified === lastModified) return known;
      try {
        return { size, lastModified, base: await baseOf(file) };
      } catch (error) {
        // A File is a file as it was: one that is being written has to be asked for again. Whoever writes it holds its
        // base, too.
        if (tries < TRIES && isQcow2Error(error, 'changed')) continue;
        return { size, lastModified: Number.POSITIVE_INFINITY, base: null };
      }
    }
  }
}

/**
 * The name that a store has for the backing file of an image; null when it has none, or cannot be read as an image at
 * all.
 *
 * @throws what reading the file throws
 */
export async function storedBaseOf(source: ByteSource): Promise<string | null> {
  try {
    const name = await readBackingName(source);
    return name === null ? null : (storedFile(name)?.name ?? null);
  } catch (error) {
    if (isQcow2Error(error, 'not-qcow2', 'unsupported', 'corrupt')) return null;
    throw error;
  }
}

function baseOf({ source }: FolderFile): Promise<string | null> {
  return storedBaseOf(source instanceof Blob ? blobSource(source) : source);
}
