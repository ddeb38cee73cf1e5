/** Owns what the worker asks of the page: the files that an image names, chunks of a stream, an ear for progress. */
import type { OpenOptions, Resolved } from 'qcow2';
import { ProgressReports } from './progress-reports.js';
import type { Answer, PageSide, WireResolved } from './protocol.js';
import { unlessAborted } from './unless-aborted.js';
import { fromWireError, KeptError } from './wire-error.js';

/** The page that calls this worker. */
export class Caller {
  readonly #page: PageSide;

  constructor(page: PageSide) {
    this.#page = page;
  }

  /** The reports of a call; they go nowhere when they are not wanted. */
  reports(call: number, wanted: boolean): ProgressReports {
    return new ProgressReports(wanted ? async (progress) => this.#page.progress(call, progress) : null);
  }

  /** Asks for the other files that an image names. */
  resolver(call: number, signal: AbortSignal): NonNullable<OpenOptions['resolve']> {
    // A resolver may be waiting for a person, who may have given up.
    return (reference): Promise<Resolved> =>
      unlessAborted(answered<WireResolved>(this.#page.resolve(call, reference)), signal);
  }

  /** The next chunk of the stream that a call imports; null at its end. */
  pull(call: number): Promise<Uint8Array<ArrayBuffer> | null> {
    return answered(this.#page.pull(call));
  }
}

/** What an answer says. What the page threw comes back to it as the very same error. */
async function answered<T>(answer: Answer<T>): Promise<T> {
  const outcome = await answer;
  if ('value' in outcome) return outcome.value;
  const { key, message } = outcome.error;
  throw key === undefined ? fromWireError(outcome.error) : new KeptError(key, message);
}
