/** Owns the downloads of images that the page no longer shows: they go on, and keep their image open for it. */
import { effect, type Signal, signal } from '@preact/signals';
import type { Download } from './download.js';

/** Those that go on, and those that ended since and were not dismissed yet; the oldest first. */
export const carried: Signal<readonly Download[]> = signal<readonly Download[]>([]);

/**
 * Lets those of the downloads that run go on. Calls `close`, which ends what they read from, when none needs it any
 * more.
 */
export function carryOn(downloads: readonly Download[], close: () => void): void {
  const going = downloads.filter(({ busy }) => busy);
  carried.value = [...carried.value, ...going];
  let open = true;
  effect(() => {
    if (!open || going.some(isNeeding)) return;
    open = false;
    close();
  });
}

/** Takes one that has ended off the page. */
export function dismissCarried(download: Download): void {
  carried.value = carried.value.filter((other) => other !== download);
}

/** One that was refused can be tried again until it is dismissed. */
function isNeeding(download: Download): boolean {
  return download.busy || (download.state.value.step === 'refused' && carried.value.includes(download));
}
