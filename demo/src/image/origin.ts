/** The origin of an open image: a file, this browser or a web server. Opens it with the files that it names. */
import { type ImageReference, isQcow2Error } from 'qcow2';
import type { Store, StoreOpenOptions, WorkerImage } from 'qcow2-opfs';
import { fileNameAt, siblingOf } from '../engine/address.js';
import type { FileSet } from './chain.js';

/** An image in this browser, by its name. */
export class StoredFile {
  readonly name: string;

  /** `name` is the image's name in the store. */
  constructor(name: string) {
    this.name = name;
  }
}

/** An image on a web server. */
export class RemoteFile {
  readonly name: string;
  readonly url: URL;

  /** `url` is an http or https URL. */
  constructor(url: URL) {
    this.url = url;
    this.name = fileNameAt(url);
  }
}

/** A file of the user's, an image in this browser, or one on a web server. */
export type Origin = File | StoredFile | RemoteFile;

/**
 * Opens an image with the available files. Files that an image on a web server names are also searched on that server.
 * Those that cannot be fetched count as missing, like files that were not dropped.
 *
 * @throws what the store throws
 */
export function openOrigin(store: Store, leaf: Origin, files: FileSet, signal: AbortSignal): Promise<WorkerImage> {
  if (leaf instanceof RemoteFile) return openRemote(store, leaf, files, signal);
  const options: StoreOpenOptions = { signal, resolve: async (reference) => files.resolve(reference, leaf) };
  return leaf instanceof StoredFile ? store.open(leaf.name, options) : store.openFile(leaf, options);
}

async function openRemote(store: Store, leaf: RemoteFile, files: FileSet, signal: AbortSignal): Promise<WorkerImage> {
  const unreachable = new Set<string>();
  for (;;) {
    const requested: string[] = [];
    const resolve: StoreOpenOptions['resolve'] = async (reference) => {
      const file = files.resolve(reference, leaf);
      if (file) return file;
      const url = addressOf(reference, leaf, files);
      if (url === null || unreachable.has(url.href)) return undefined;
      requested.push(url.href);
      return remote(url);
    };
    try {
      return await store.openFile(remote(leaf.url), { signal, resolve });
    } catch (error) {
      const last = requested.at(-1);
      if (signal.aborted || last === undefined || !isFetchFailure(error)) throw error;
      unreachable.add(last); // retry without it: the header and the map can still be shown
    }
  }
}

/**
 * The URL of a named file on the image's server; null when it is elsewhere, or the file that names it came from
 * elsewhere.
 */
function addressOf({ name, parent }: ImageReference, leaf: RemoteFile, files: FileSet): URL | null {
  if (parent === undefined) return siblingOf(name, leaf.url);
  if (files.find(parent.name, leaf)) return null;
  const above = addressOf(parent, leaf, files);
  return above && siblingOf(name, above);
}

/** Sends no cookies: the URL may come from a link. */
function remote(url: URL): { url: URL; credentials: 'omit' } {
  return { url, credentials: 'omit' };
}

function isFetchFailure(error: unknown): boolean {
  return isQcow2Error(error, 'not-found', 'unsupported', 'io') && error.details.url !== undefined;
}
