/** Owns the reporting of progress: monotonic, at most ten times a second, and always to the end. */
import type { OperationOptions } from '../options.js';

/** Least time between two reports, milliseconds. */
const INTERVAL = 100;

/** A function that is told how many of `total` bytes are done, and passes on what `onProgress` should hear. */
export function progressOf(
  options: OperationOptions | undefined,
  phase: string,
  total: number,
): (done: number) => void {
  const report = options?.onProgress;
  if (report === undefined) return () => {};
  let last = 0;
  let reported = -1;
  return (done) => {
    const now = Date.now();
    if (done <= reported || (done < total && now - last < INTERVAL)) return;
    last = now;
    reported = done;
    report({ phase, done, total });
  };
}
