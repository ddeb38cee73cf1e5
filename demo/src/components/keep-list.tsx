/** Owns the list of files that are being taken over into this browser, and of how the last ones ended. */
import type { JSX } from 'preact';
import { dismissKeep, type Keep, type KeepState, keeps } from '../keep.js';
import { formatDuration } from '../pace.js';
import { shelf } from '../shelf.js';
import { formatSize } from '../size.js';
import { ProblemNotice } from './problem-notice.js';
import { ProgressFigures } from './progress-figures.js';

/** Everything that is being taken over; nothing when nothing is. */
export function KeepList(): JSX.Element {
  return (
    <div class="keeps">
      {keeps.value.map((keep) => (
        <KeepItem keep={keep} key={keep} />
      ))}
    </div>
  );
}

function KeepItem({ keep }: { readonly keep: Keep }): JSX.Element {
  const state = keep.state.value;
  return (
    <section class="keep" aria-label={`Keeping ${keep.name}`}>
      <KeepWords keep={keep} state={state} />
      <p class="visually-hidden" role="status">
        {spoken(keep, state)}
      </p>
    </section>
  );
}

function KeepWords({ keep, state }: { readonly keep: Keep; readonly state: KeepState }): JSX.Element {
  const again = (
    <button type="button" class="button plain small" onClick={() => keep.run()}>
      Try again
    </button>
  );
  const dismiss = (
    <button type="button" class="button plain small" onClick={() => dismissKeep(keep)}>
      Dismiss
    </button>
  );
  switch (state.step) {
    case 'running':
      return (
        <div class="notice">
          <div class="row">
            <p>
              Copying <strong>{keep.name}</strong> into {place()}.
            </p>
            <button type="button" class="button plain small" onClick={() => keep.cancel()}>
              Cancel
            </button>
          </div>
          <ProgressFigures label={`Copying ${keep.name}`} done={state.done} total={state.total} pace={keep.pace} />
        </div>
      );
    case 'finished':
      return (
        <div class="notice row">
          <p>
            <strong>{keep.name}</strong> ({formatSize(keep.file.size)}) is now in {place()}. It took{' '}
            {formatDuration(state.seconds)}.
          </p>
          {dismiss}
        </div>
      );
    case 'cancelled':
      return (
        <div class="notice row">
          <p>
            <strong>{keep.name}</strong>: cancelled. Nothing half-written was left.
          </p>
          <div class="actions">
            {again}
            {dismiss}
          </div>
        </div>
      );
    case 'refused':
      return (
        <ProblemNotice problem={state.problem}>
          {again}
          {dismiss}
        </ProblemNotice>
      );
  }
}

function place(): string {
  return shelf.value?.persistence === 'memory' ? 'memory, until you leave this page' : 'this browser';
}

/** For screen readers: each quarter of the way, not each report. */
function spoken(keep: Keep, state: KeepState): string {
  switch (state.step) {
    case 'running': {
      const quarter = Math.floor((state.done / Math.max(1, state.total)) * 4) * 25;
      return quarter === 0 ? `Copying ${keep.name}.` : `${quarter}% of ${keep.name} is copied.`;
    }
    case 'finished':
      return `${keep.name} is now in this browser.`;
    case 'cancelled':
      return `Copying ${keep.name} was cancelled.`;
    case 'refused':
      return '';
  }
}
