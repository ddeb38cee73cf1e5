/** Renders the small button that starts a download, in lists. */
import type { JSX, Ref } from 'preact';
import type { Download } from './download.js';

interface DownloadButtonProps {
  /** The name of the downloaded image. */
  readonly name: string;
  readonly download: Download;
  /** True if a file is missing that the download needs. */
  readonly blocked?: boolean;
  readonly buttonRef?: Ref<HTMLButtonElement>;
}

/** Starts a download, or cancels the running one. */
export function DownloadButton({ name, download, blocked = false, buttonRef }: DownloadButtonProps): JSX.Element {
  const { step } = download.state.value;
  const running = step === 'running';
  return (
    <button
      {...(buttonRef && { ref: buttonRef })}
      type="button"
      class="button plain small"
      aria-label={running ? `Cancel ${download.format}: ${name}` : `Download as ${download.format}: ${name}`}
      aria-disabled={step === 'asking' || blocked}
      onClick={() => {
        if (running) download.cancel();
        else if (!blocked) void download.start();
      }}
    >
      {running ? `Cancel ${download.format}` : `Download as ${download.format}`}
    </button>
  );
}
