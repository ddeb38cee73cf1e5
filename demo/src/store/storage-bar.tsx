/** Renders the storage status: used space, quota, and whether it is persistent. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { StoreEstimate } from 'qcow2-opfs';
import { checkWorker } from '../engine/engine.js';
import { formatSize } from '../engine/size.js';
import { persistStore, type StoreContents } from './store-contents.js';

/** The storage of the images. */
export function StorageBar({ contents }: { readonly contents: StoreContents }): JSX.Element {
  const { estimate, persistence } = contents;
  if (persistence === 'memory') return <MemoryBanner usage={estimate?.usage ?? 0} />;
  return (
    <div class="storage">
      {estimate && <Gauge estimate={estimate} />}
      <Persistence persistent={persistence === 'persistent'} />
    </div>
  );
}

function MemoryBanner({ usage }: { readonly usage: number }): JSX.Element {
  return (
    <div class="notice">
      <p>
        <strong>These images are only in memory.</strong> The browser gives this page no storage, as in a private
        window. They are gone when you close or reload the page: download what you want to keep.
      </p>
      <p class="soft">They take {formatSize(usage)} of memory.</p>
    </div>
  );
}

/** The quota that the browser reports is approximate: Chromium always reports 10 GiB more than is used. */
function Gauge({ estimate: { usage, quota } }: { readonly estimate: StoreEstimate }): JSX.Element {
  const words = `${formatSize(usage)} used, and room for at least ${formatSize(Math.max(0, quota - usage))} more`;
  return (
    <div class="gauge">
      <meter aria-label="Storage of this page" min={0} max={Math.max(1, quota)} value={usage}>
        {words}
      </meter>
      <p class="soft">{words}, says the browser.</p>
    </div>
  );
}

/** Whether the browser may evict the images; a button requests persistent storage. */
function Persistence({ persistent }: { readonly persistent: boolean }): JSX.Element {
  const result = useSignal<'declined' | 'failed' | null>(null);
  const requesting = useSignal(false);
  const requestPersistence = async (): Promise<void> => {
    if (requesting.value) return;
    requesting.value = true;
    try {
      result.value = (await persistStore()) ? null : 'declined';
    } catch (error) {
      checkWorker(error);
      result.value = 'failed';
    } finally {
      requesting.value = false;
    }
  };
  return (
    <div class="row persistence">
      <p class="soft" role="status">
        {persistent
          ? 'Only you can clear these images: the browser keeps them.'
          : 'The browser may clear these images when it runs short of space.'}
        {result.value === 'declined' &&
          ' It declined: it decides by how often a page is used, so bookmark it and try again.'}
        {result.value === 'failed' && ' The request failed: try again.'}
      </p>
      {!persistent && (
        <button type="button" class="button plain small" onClick={requestPersistence} aria-disabled={requesting.value}>
          Ask it to keep them
        </button>
      )}
    </div>
  );
}
