/** Renders a problem: what failed, why, what to do, and folded details. */
import type { ComponentChildren, JSX } from 'preact';
import type { Problem } from '../engine/problem.js';
import { Facts } from './facts.js';

interface ProblemNoticeProps {
  readonly problem: Problem;
  readonly onDismiss?: () => void;
  /** Buttons for what can be done about it. */
  readonly children?: ComponentChildren;
}

/** A problem, announced immediately to screen readers. */
export function ProblemNotice({ problem, onDismiss, children }: ProblemNoticeProps): JSX.Element {
  return (
    <div class="notice alert" role="alert">
      <p class="notice-title">{problem.title}</p>
      {problem.reason !== null && <p>{problem.reason}</p>}
      <p>{problem.advice}</p>
      {problem.details.length > 0 && (
        <details>
          <summary>Details</summary>
          <Facts facts={problem.details} />
        </details>
      )}
      {children && <div class="actions">{children}</div>}
      {onDismiss && (
        <button type="button" class="button plain small" onClick={onDismiss}>
          Dismiss
        </button>
      )}
    </div>
  );
}
