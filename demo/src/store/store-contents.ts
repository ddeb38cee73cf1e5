/**
 * Owns what the page knows of the images that live in this browser: which there are, how much room, whether they stay.
 */
import { type Signal, signal } from '@preact/signals';
import type { CreateOptions } from 'qcow2';
import type { Persistence, StoredImage, StoreEstimate } from 'qcow2-opfs';
import { whileBusy } from '../engine/busy.js';
import { noticeError, withEngine, withEngineOnce } from '../engine/engine.js';
import { describe, type Problem } from '../engine/problem.js';

/** The images in this browser, and the storage that they are in. */
export interface StoreContents {
  readonly images: readonly StoredImage[];
  readonly persistence: Persistence;
  /** Null where the browser does not say. */
  readonly estimate: StoreEstimate | null;
}

/** What was found last; null until then. */
export const storeContents: Signal<StoreContents | null> = signal<StoreContents | null>(null);
/** Why it could not be looked at, until it can. */
export const storeProblem: Signal<Problem | null> = signal<Problem | null>(null);

/** Where the images are, in words. */
export function storePlace(): string {
  return storeContents.value?.persistence === 'memory' ? 'memory until you leave this page' : 'this browser';
}

/** Tells the page's other tabs that something changed. */
const channel = new BroadcastChannel('qcow2-demo store');
channel.addEventListener('message', () => void refreshStore());
let latest = 0;

/** Looks again. Never rejects: what goes wrong is {@link storeProblem}. */
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
    noticeError(error);
    if (mine === latest) storeProblem.value = describe(error, 'The list of images');
  }
}

/** Looks again, and has the other tabs look too. */
export async function storeChanged(): Promise<void> {
  channel.postMessage('changed');
  await refreshStore();
}

/**
 * Makes an empty image.
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
 * Gives an image another name.
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

/** Asks the browser not to clear the images by itself; from a click. Whether it agrees. */
export async function persistStore(): Promise<boolean> {
  const granted = await withEngine((store) => store.persist());
  await storeChanged();
  return granted;
}
