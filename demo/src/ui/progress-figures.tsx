/** Renders the progress of running work: a bar, the amount done, the speed, the remaining time. */
import type { JSX } from 'preact';
import { formatDuration, type Pace } from '../engine/pace.js';
import { formatShare, formatSize } from '../engine/size.js';

interface ProgressFiguresProps {
  /** The bar's label for screen readers. */
  readonly label: string;
  /** Bytes. */
  readonly done: number;
  /** Bytes. */
  readonly total: number;
  readonly pace: Pace;
}

/** Progress in numbers. */
export function ProgressFigures({ label, done, total, pace }: ProgressFiguresProps): JSX.Element {
  const { speed } = pace;
  const left = pace.secondsLeft(total);
  return (
    <div class="progress">
      <progress aria-label={label} value={done} max={Math.max(1, total)} />
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
