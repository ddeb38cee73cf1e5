/** The contents of this browser's store: the images, the space used, and whether storage is persistent. */
import { type Signal, signal } from '@preact/signals';
import type { CreateOptions } from 'qcow2';
import type { Persistence, StoredImage, StoreEstimate } from 'qcow2-opfs';
import { whileBusy } from '../engine/busy.js';
import { checkWorker, withEngine, withEngineOnce } from '../engine/engine.js';
import { describe, type Problem } from '../engine/problem.js';

/** The images in this browser, and their storage. */
export interface StoreContents {
  readonly images: readonly StoredImage[];
  readonly persistence: Persistence;
  /** Null where the browser does not report it. */
  readonly estimate: StoreEstimate | null;
}

/** The last listing; null before the first. */
export const storeContents: Signal<StoreContents | null> = signal<StoreContents | null>(null);
/** Why the store could not be listed; null when it could. */
export const storeProblem: Signal<Problem | null> = signal<Problem | null>(null);

/** Where the images are, in words. */
export function storePlace(): string {
  return storeContents.value?.persistence === 'memory' ? 'memory until you leave this page' : 'this browser';
}

/** Notifies the page's other tabs of changes. */
const channel = new BroadcastChannel('qcow2-demo store');
channel.addEventListener('message', () => void refreshStore());
let latest = 0;

/** Lists the store again. Never rejects: errors go to {@link storeProblem}. */
export async function refreshStore(): Promise<void> {
  latest += 1;
  const mine = latest;
  try {
    const found = await withEngine(async (store) => {
      const images = await store.list();
      const estimate = await store.estimate().catch(() => null);
      return { images, persistence: store.persistence, estimate };
    });
    if (mine !== latest) return;
    storeContents.value = found;
    storeProblem.value = null;
  } catch (error) {
    checkWorker(error);
    if (mine === latest) storeProblem.value = describe(error, 'The list of images');
  }
}

/** Lists the store again, and makes the other tabs do so too. */
export async function storeChanged(): Promise<void> {
  channel.postMessage('changed');
  await refreshStore();
}

/**
 * Creates an empty image.
 *
 * @throws what the store throws
 */
export async function createImage(name: string, options: CreateOptions): Promise<void> {
  await whileBusy(
    withEngineOnce(async (store) => {
      const image = await store.create(name, options);
      await image.close();
    }),
  );
  await storeChanged();
}

/**
 * Renames an image.
 *
 * @throws what the store throws
 */
export async function renameImage(from: string, to: string): Promise<void> {
  await withEngineOnce((store) => store.rename(from, to));
  await storeChanged();
}

/**
 * Deletes an image.
 *
 * @throws what the store throws
 */
export async function removeImage(name: string): Promise<void> {
  await withEngineOnce((store) => store.remove(name));
  await storeChanged();
}

/** Requests persistent storage, from a click. Returns whether it is granted. */
export async function persistStore(): Promise<boolean> {
  const granted = await withEngine((store) => store.persist());
  await storeChanged();
  return granted;
}
