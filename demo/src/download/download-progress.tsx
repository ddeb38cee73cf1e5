/** Renders the progress and the result of a download. */
import type { JSX } from 'preact';
import { formatDuration } from '../engine/pace.js';
import { formatSize } from '../engine/size.js';
import { retryDownload } from '../session/session.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { ProgressFigures } from '../ui/progress-figures.js';
import type { Download, Route } from './download.js';

const DONE: Readonly<Record<Route, string>> = {
  picker: 'is saved',
  'temporary-file': 'was passed to the browser, which puts it with your downloads',
  memory: 'was passed to the browser, which puts it with your downloads',
};

interface DownloadProgressProps {
  readonly download: Download;
  /** Called when a button in it was pressed that is then removed, and the focus with it. */
  readonly onPressed: () => void;
  /** Removes a refused download from the page, where that is possible. */
  readonly onDismiss?: () => void;
}

/** A download, in any state; null before it starts. */
export function DownloadProgress({ download, onPressed, onDismiss }: DownloadProgressProps): JSX.Element | null {
  const state = download.state.value;
  switch (state.step) {
    case 'idle':
      return null;
    case 'asking':
      return <p class="soft">Choose where to save the file.</p>;
    case 'cancelled':
      return <p>Cancelled. Nothing half-written was left.</p>;
    case 'refused':
      return (
        <ProblemNotice problem={state.problem} {...(onDismiss && { onDismiss })}>
          <button
            type="button"
            class="button plain small"
            onClick={() => {
              void retryDownload(download);
              onPressed();
            }}
          >
            Try again
          </button>
        </ProblemNotice>
      );
    case 'running': {
      const { done, total } = state;
      return <ProgressFigures label={`Making ${download.fileName}`} done={done} total={total} pace={download.pace} />;
    }
    case 'finished':
      return (
        <FinishedDownload
          download={download}
          route={state.route}
          seconds={state.seconds}
          onFree={async () => {
            await download.freeSpace();
            onPressed();
          }}
        />
      );
  }
}

interface FinishedDownloadProps {
  readonly download: Download;
  readonly route: Route;
  readonly seconds: number;
  readonly onFree: () => void;
}

function FinishedDownload({ download, route, seconds, onFree }: FinishedDownloadProps): JSX.Element {
  return (
    <div class="progress">
      <p>
        <strong>{download.fileName}</strong> ({formatSize(download.total)}) {DONE[route]}. It took{' '}
        {formatDuration(seconds)}.
      </p>
      {route === 'temporary-file' && (
        <p class="free-space">
          <span class="soft">
            A temporary copy of {formatSize(download.total)} stays in the browser until you leave. Free it when the
            download has ended.
          </span>
          <button type="button" class="button plain small" onClick={onFree}>
            Free the space
          </button>
        </p>
      )}
    </div>
  );
}

/** For screen readers: one message for each quarter, not for each report. */
export function downloadWords(download: Download): string {
  const state = download.state.value;
  switch (state.step) {
    case 'running': {
      const quarter = Math.floor((state.done / Math.max(1, state.total)) * 4) * 25;
      return quarter === 0 ? `Making ${download.fileName}.` : `${quarter}% of ${download.fileName} is done.`;
    }
    case 'finished':
      return `${download.fileName} ${DONE[state.route]}.`;
    case 'cancelled':
      return 'The download was cancelled.';
    default:
      return '';
  }
}
