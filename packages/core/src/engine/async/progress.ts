/** Reports progress: monotonic, at most ten times a second, and always at the end. */
import type { OperationOptions } from '../../api/options.js';

/** Shortest time between two reports, milliseconds. */
const INTERVAL = 100;

/**
 * Returns a function that takes how many of `total` bytes are done, and calls `onProgress` when a report is due. With
 * an unknown `total` of `Infinity`, the last call must set `last`.
 */
export function progressOf(
  options: OperationOptions | undefined,
  phase: string,
  total: number,
): (done: number, last?: boolean) => void {
  const report = options?.onProgress;
  if (report === undefined) return () => {};
  let reportedAt = 0;
  let reported = -1;
  return (done, last = done >= total) => {
    const now = Date.now();
    if (done <= reported || (!last && now - reportedAt < INTERVAL)) return;
    reportedAt = now;
    reported = done;
    report({ phase, done, total });
  };
}
