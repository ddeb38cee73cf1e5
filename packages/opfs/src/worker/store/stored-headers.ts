/** Caches the headers of a store's images: each is read once, and again only when its file has changed. */
import { type ByteSource, blobSource, type ImageSummary, isQcow2Error } from 'qcow2';
import { backingNameIn, imageSummary, readBackingName, readHeader } from 'qcow2/internal';
import { storedFile } from '../../protocol/image-name.js';
import type { StoredImageError } from '../../protocol/stored-image.js';
import type { Folder, FolderFile } from '../storage/folder.js';

/** How many headers are read in parallel, of 64 KiB each. */
const PARALLEL = 16;
/**
 * A file written this recently can be written again with the same date, so it is read again the next time: file systems
 * store dates with a precision of 2 seconds at worst (FAT). Milliseconds.
 */
const RECENT = 2000;
/** How often a header is read again because its file changed meanwhile. */
const MAX_TRIES = 5;

/** A file of the store and its header. */
export interface StoredHeader {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
  /**
   * The normalised name of its backing file, whether that exists or not; null when it has none, or when its header
   * cannot be read.
   */
  readonly base: string | null;
  /** Undefined when the header is invalid or cannot be read; `error` contains the reason. */
  readonly info: ImageSummary | undefined;
  readonly error: StoredImageError | undefined;
}

/** The headers of a folder's images. */
export class StoredHeaders {
  readonly #folder: Folder;
  /** By the name of the image. */
  readonly #known = new Map<string, StoredHeader>();

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  /** Calls `visit` with the name of each image, sorted, several in parallel. Null results are left out. */
  async each<T>(visit: (name: string) => Promise<T | null>): Promise<T[]> {
    const names = await this.#folder.names();
    const found: T[] = [];
    for (let first = 0; first < names.length; first += PARALLEL) {
      const some = await Promise.all(names.slice(first, first + PARALLEL).map(visit));
      for (const each of some) if (each !== null) found.push(each);
    }
    for (const name of this.#known.keys()) if (!names.includes(name)) this.#known.delete(name);
    return found;
  }

  /** The header of an image; null when there is none of that name. */
  async of(name: string): Promise<StoredHeader | null> {
    for (let tries = 1; ; tries++) {
      const file = await this.#folder.file(name);
      if (!file) return null;
      const { size, lastModified } = file;
      const known = this.#known.get(name);
      if (known?.size === size && known.lastModified === lastModified) return known;
      const header = { name, size, lastModified, ...(await headerOf(file)) };
      // A File is a snapshot: one that is being written has to be read again. Its writer also locks its base.
      if (header.error?.code === 'changed' && tries < MAX_TRIES) continue;
      if (isCacheable(header) && Date.now() - lastModified > RECENT) this.#known.set(name, header);
      else this.#known.delete(name);
      return header;
    }
  }
}

/**
 * The normalised name of the backing file of an image; null when it has none, or is not a valid image.
 *
 * @throws what reading the file throws
 */
export async function storedBaseOf(source: ByteSource): Promise<string | null> {
  try {
    return storedNameOf(await readBackingName(source));
  } catch (error) {
    if (isQcow2Error(error, 'not-qcow2', 'unsupported', 'corrupt')) return null;
    throw error;
  }
}

/** Reads a header. The base is found even if the image's tables are damaged. */
async function headerOf({ source }: FolderFile): Promise<Pick<StoredHeader, 'base' | 'info' | 'error'>> {
  const bytes = source instanceof Blob ? blobSource(source) : source;
  let base: string | null = null;
  try {
    const first = await readHeader(bytes, undefined);
    base = storedNameOf(backingNameIn(first));
    return { base, info: await imageSummary(first, bytes.size), error: undefined };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { base, info: undefined, error: { code: isQcow2Error(error) ? error.code : 'io', message } };
  }
}

function storedNameOf(backingName: string | null): string | null {
  return backingName === null ? null : (storedFile(backingName)?.name ?? null);
}

/** True if reading the same bytes again gives the same result. */
function isCacheable({ error }: StoredHeader): boolean {
  return error === undefined || ['not-qcow2', 'unsupported', 'corrupt'].includes(error.code);
}
