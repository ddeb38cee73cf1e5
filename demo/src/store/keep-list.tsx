/** Lists the files that are being copied into this browser, and the results of the last ones. */
import type { JSX, TargetedEvent } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { formatDuration } from '../engine/pace.js';
import { formatSize } from '../engine/size.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { ProgressFigures } from '../ui/progress-figures.js';
import { freeName } from './free-name.js';
import { dismissKeep, type Keep, type KeepState, keepAs, keeps } from './keep.js';
import { storeContents, storePlace } from './store-contents.js';

/** Every copy; null when there is none. */
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
  const section = useRef<HTMLElement>(null);
  // It is above the pressed button, on small screens far above.
  useEffect(() => section.current?.scrollIntoView({ block: 'nearest' }), []);
  return (
    <section ref={section} class="keep" aria-label={`Keeping ${keep.name}`} tabIndex={-1}>
      <KeepWords keep={keep} onPressed={() => section.current?.focus()} />
      <p class="visually-hidden" role="status">
        {announcementOf(keep, keep.state.value)}
      </p>
    </section>
  );
}

interface KeepProps {
  readonly keep: Keep;
  /** Called when a button was pressed that is then removed, and the focus with it. */
  readonly onPressed: () => void;
}

function KeepWords({ keep, onPressed }: KeepProps): JSX.Element {
  const state = keep.state.value;
  switch (state.step) {
    case 'running':
      return <RunningKeep keep={keep} done={state.done} total={state.total} onPressed={onPressed} />;
    case 'finished':
      return (
        <div class="notice row">
          <p>
            <strong>{keep.name}</strong> ({formatSize(keep.file.size)}) is now in {storePlace()}. It took{' '}
            {formatDuration(state.seconds)}.
          </p>
          <Dismiss keep={keep} />
        </div>
      );
    case 'cancelled':
      return (
        <div class="notice row">
          <p>
            <strong>{keep.name}</strong>: cancelled. Nothing half-written was left.
          </p>
          <div class="actions">
            <TryAgain keep={keep} onPressed={onPressed} />
            <Dismiss keep={keep} />
          </div>
        </div>
      );
    case 'refused':
      return (
        <ProblemNotice problem={state.problem}>
          {state.byName && <KeepAs keep={keep} />}
          <TryAgain keep={keep} onPressed={onPressed} />
          <Dismiss keep={keep} />
        </ProblemNotice>
      );
  }
}

function RunningKeep({ keep, done, total, onPressed }: KeepProps & { done: number; total: number }): JSX.Element {
  const cancel = (): void => {
    keep.cancel();
    onPressed();
  };
  return (
    <div class="notice">
      <div class="row">
        <p>
          Copying <strong>{keep.name}</strong> into {storePlace()}.
        </p>
        <button type="button" class="button plain small" onClick={cancel}>
          Cancel
        </button>
      </div>
      <ProgressFigures label={`Copying ${keep.name}`} done={done} total={total} pace={keep.pace} />
    </div>
  );
}

/** Offers a name that is free. The copy to it has a section of its own. */
function KeepAs({ keep }: { readonly keep: Keep }): JSX.Element {
  const name = freeName(keep.name, [...(storeContents.value?.images ?? []), ...keeps.value]);
  const copy = (event: TargetedEvent<HTMLButtonElement>): void => {
    event.currentTarget.closest('main')?.focus(); // the button is removed, and the focus with it
    void keepAs(keep, name);
  };
  return (
    <button type="button" class="button plain small" onClick={copy}>
      Keep it as {name}
    </button>
  );
}

function TryAgain({ keep, onPressed }: KeepProps): JSX.Element {
  const retry = (): void => {
    void keep.run();
    onPressed();
  };
  return (
    <button type="button" class="button plain small" onClick={retry}>
      Try again
    </button>
  );
}

function Dismiss({ keep }: { readonly keep: Keep }): JSX.Element {
  const dismiss = (event: TargetedEvent<HTMLButtonElement>): void => {
    event.currentTarget.closest('main')?.focus();
    dismissKeep(keep);
  };
  return (
    <button type="button" class="button plain small" onClick={dismiss}>
      Dismiss
    </button>
  );
}

/** For screen readers: one message for each quarter, not for each report. */
function announcementOf(keep: Keep, state: KeepState): string {
  switch (state.step) {
    case 'running': {
      const quarter = Math.floor((state.done / Math.max(1, state.total)) * 4) * 25;
      return quarter === 0 ? `Copying ${keep.name}.` : `${quarter}% of ${keep.name} is copied.`;
    }
    case 'finished':
      return `${keep.name} is now in ${storePlace()}.`;
    case 'cancelled':
      return `Copying ${keep.name} was cancelled.`;
    case 'refused':
      return '';
  }
}
