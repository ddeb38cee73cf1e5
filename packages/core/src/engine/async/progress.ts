/** Owns the reporting of progress: monotonic, at most ten times a second, and always to the end. */
import type { OperationOptions } from '../../api/options.js';

/** Least time between two reports, milliseconds. */
const INTERVAL = 100;

/**
 * A function that is told how many of `total` bytes are done, and passes on what `onProgress` should hear. With a
 * `total` of `Infinity`, as when nobody knows, it must be told which call is the last.
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
