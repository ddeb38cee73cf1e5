/** Lists the downloads that continue while the page shows something else. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { backgroundDownloads, dismissDownload } from './background-downloads.js';
import type { Download } from './download.js';
import { DownloadProgress, downloadWords } from './download-progress.js';

/** Every such download; null when there is none. */
export function BackgroundDownloads(): JSX.Element {
  return (
    <div class="keeps">
      {backgroundDownloads.value.map((download) => (
        <BackgroundDownload download={download} key={download} />
      ))}
    </div>
  );
}

function BackgroundDownload({ download }: { readonly download: Download }): JSX.Element {
  const section = useRef<HTMLElement>(null);
  const { step } = download.state.value;
  const cancel = (): void => {
    download.cancel();
    section.current?.focus(); // the pressed button is replaced by another
  };
  const dismiss = (): void => {
    // Its buttons are removed, and the focus with them.
    if (section.current?.contains(document.activeElement)) section.current.closest('main')?.focus();
    dismissDownload(download);
  };
  useEffect(() => {
    // Its temporary file was deleted, or its picker closed: there is nothing left to show.
    if (step === 'idle') dismiss();
  }, [download, step]);
  const words = (
    <>
      {step !== 'finished' && (
        <p>
          <strong>{download.fileName}</strong>
        </p>
      )}
      <DownloadProgress download={download} onPressed={() => section.current?.focus()} onDismiss={dismiss} />
    </>
  );
  return (
    <section ref={section} class="keep" aria-label={`Download of ${download.fileName}`} tabIndex={-1}>
      {step === 'refused' ? (
        words
      ) : (
        <div class="notice row">
          <div class="background-download">{words}</div>
          {step !== 'asking' && (
            <button
              type="button"
              key={step === 'running'}
              class="button plain small"
              onClick={step === 'running' ? cancel : dismiss}
            >
              {step === 'running' ? 'Cancel' : 'Dismiss'}
            </button>
          )}
        </div>
      )}
      <p class="visually-hidden" role="status">
        {downloadWords(download)}
      </p>
    </section>
  );
}
