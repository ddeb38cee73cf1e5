/** Keeps the downloads of images that the page no longer shows running, with their images open. */
import { effect, type Signal, signal } from '@preact/signals';
import type { Download } from './download.js';

/** Running downloads, and ended ones that are not dismissed yet; the oldest first. */
export const carried: Signal<readonly Download[]> = signal<readonly Download[]>([]);

/** Keeps the running downloads going. Calls `close`, which closes their source, when none needs it any more. */
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

/** Removes an ended download from the page. */
export function dismissCarried(download: Download): void {
  carried.value = carried.value.filter((other) => other !== download);
}

/** True while its source is needed. A refused download can be retried until it is dismissed. */
function isNeeding(download: Download): boolean {
  return download.busy || (download.state.value.step === 'refused' && carried.value.includes(download));
}
