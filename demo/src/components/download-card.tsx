/** Owns the download's controls: what the file will be, progress in numbers, cancel, and how it ended. */
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import type { Download, DownloadState, Route } from '../download.js';
import { formatDuration } from '../pace.js';
import type { Opened } from '../session.js';
import { formatShare, formatSize } from '../size.js';
import { Card } from './card.js';
import { ProblemNotice } from './problem-notice.js';

const DONE: Readonly<Record<Route, string>> = {
  picker: 'is saved',
  spool: 'was handed to the browser, which puts it with your downloads',
  memory: 'was handed to the browser, which puts it with your downloads',
};

/** The section of the download, in whichever state it is. */
export function DownloadCard({ opened }: { readonly opened: Opened }): JSX.Element {
  const { download, map, missing } = opened;
  void map.version.value; // the amount of data is known better with every extent
  const state = download.state.value;
  const busy = state.step === 'running' || state.step === 'asking';
  const blocked = missing.length > 0;
  const button = useRef<HTMLButtonElement>(null);
  return (
    <Card title="Take it away" class="download">
      <div class="download-row">
        <p>
          <strong>{download.fileName}</strong>: {sizeSentence(opened)}
          {blocked && ' A file of the chain is missing: add it first.'}
        </p>
        {state.step === 'running' ? (
          <button type="button" class="button plain" onClick={() => download.cancel()}>
            Cancel download
          </button>
        ) : (
          <button
            ref={button}
            type="button"
            class="button primary"
            aria-disabled={busy || blocked}
            onClick={() => !busy && !blocked && download.start()}
          >
            Download as raw
          </button>
        )}
      </div>
      <DownloadProgress
        download={download}
        state={state}
        onFree={async () => {
          await download.freeSpace();
          button.current?.focus(); // the pressed one is gone
        }}
      />
      <p class="visually-hidden" role="status">
        {spoken(state, download)}
      </p>
    </Card>
  );
}

/** The final size, before anything starts: `2 GiB file; 300 MiB of it data.` */
function sizeSentence({ download, map, missing }: Opened): string {
  const whole = `${formatSize(download.total)} file`;
  if (map.state.value !== 'complete' || missing.length > 0) return `${whole}.`;
  const { stored, size } = map.allocation;
  if (stored === size) return `${whole}, all of it data.`;
  return `${whole}; ${formatSize(stored)} of it data, the rest zeros.`;
}

interface DownloadProgressProps {
  readonly download: Download;
  readonly state: DownloadState;
  readonly onFree: () => void;
}

function DownloadProgress({ download, state, onFree }: DownloadProgressProps): JSX.Element | null {
  switch (state.step) {
    case 'idle':
      return null;
    case 'asking':
      return <p class="soft">Choose where to save the file.</p>;
    case 'cancelled':
      return <p>Cancelled. Nothing half-written was left.</p>;
    case 'refused':
      return <ProblemNotice problem={state.problem} />;
    case 'running':
      return <RunningDownload download={download} done={state.done} total={state.total} />;
    case 'finished':
      return <FinishedDownload download={download} route={state.route} seconds={state.seconds} onFree={onFree} />;
  }
}

function RunningDownload({ download, done, total }: { download: Download; done: number; total: number }): JSX.Element {
  const { speed } = download.pace;
  const left = download.pace.secondsLeft(total);
  return (
    <div class="progress">
      <progress aria-label={`Making ${download.fileName}`} value={done} max={Math.max(1, total)} />
      <p class="figures">
        <span>
          {formatShare(done, total)}: {formatSize(done)} of {formatSize(total)}
        </span>
        <span>{speed !== null && `${formatSize(Math.round(speed))} a second`}</span>
        <span>{left !== null && `${formatDuration(left)} left`}</span>
      </p>
    </div>
  );
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
      {route === 'spool' && (
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

/** For screen readers: each quarter of the way, not each report. */
function spoken(state: DownloadState, download: Download): string {
  switch (state.step) {
    case 'running': {
      const quarter = Math.floor((state.done / Math.max(1, state.total)) * 4) * 25;
      return quarter === 0 ? `Making ${download.fileName}.` : `${quarter}% of ${download.fileName} is made.`;
    }
    case 'finished':
      return `${download.fileName} ${DONE[state.route]}.`;
    case 'cancelled':
      return 'The download was cancelled.';
    default:
      return '';
  }
}
