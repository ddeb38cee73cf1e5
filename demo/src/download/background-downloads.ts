/** Keeps the downloads of images that the page no longer shows running, with their images open. */
import { effect, type Signal, signal } from '@preact/signals';
import type { Download } from './download.js';

/** Running downloads, and ended ones that are not dismissed yet; the oldest first. */
export const backgroundDownloads: Signal<readonly Download[]> = signal<readonly Download[]>([]);

/** Keeps the running downloads going. Calls `close`, which closes their source, when none needs it any more. */
export function continueInBackground(downloads: readonly Download[], close: () => void): void {
  const running = downloads.filter(({ busy }) => busy);
  backgroundDownloads.value = [...backgroundDownloads.value, ...running];
  let open = true;
  effect(() => {
    if (!open || running.some(needsSource)) return;
    open = false;
    close();
  });
}

/** Removes an ended download from the page. */
export function dismissDownload(download: Download): void {
  backgroundDownloads.value = backgroundDownloads.value.filter((other) => other !== download);
}

/** True while its source is needed. A refused download can be retried until it is dismissed. */
function needsSource(download: Download): boolean {
  return download.busy || (download.state.value.step === 'refused' && backgroundDownloads.value.includes(download));
}
