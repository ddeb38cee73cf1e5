/** Owns how often the progress of a copy is reported. */
import type { OperationOptions } from 'qcow2';

/** Progress is reported no more often. Milliseconds. */
const REPORT_EVERY = 100;

/**
 * A function that is told of every few bytes that are done.
 *
 * @param total bytes in all; `Infinity` when nobody knows
 */
export function progressMeter(
  { onProgress }: OperationOptions,
  phase: string,
  total: number,
): { advance(bytes: number): void; finish(): void } {
  let done = 0;
  let reported = -1;
  let reportAt = 0;
  const report = (): void => {
    if (done === reported) return;
    reported = done;
    reportAt = performance.now() + REPORT_EVERY;
    onProgress?.({ phase, done, total });
  };
  return {
    advance(bytes) {
      done += bytes;
      if (performance.now() >= reportAt) report();
    },
    finish: report,
  };
}
