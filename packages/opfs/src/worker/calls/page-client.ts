/** Calls the page from its worker: for the files that an image names, chunks of a stream, and reports. */
import type { Openable, OpenOptions, Resolved } from 'qcow2';
import type { PageSide, PromisedOutcome, WireFile, WireReports, WireResolved } from '../../protocol/messages.js';
import { fromWireError, KeptError } from '../../protocol/wire-error.js';
import { CallReports } from './call-reports.js';
import { sourceOf } from './foreign-image.js';
import { unlessAborted } from './unless-aborted.js';

/** The page that started this worker. */
export class PageClient {
  readonly #page: PageSide;

  constructor(page: PageSide) {
    this.#page = page;
  }

  /** The reports of a call. Those for which the caller passed no callback are discarded. */
  reports(call: number, wanted: WireReports): CallReports {
    return new CallReports({
      progress: wanted.progress ? async (progress) => this.#page.progress(call, progress) : undefined,
      lost: wanted.lost ? async (lost) => this.#page.lost(call, lost) : undefined,
    });
  }

  /** A resolver that requests from the page the other files that an image names. */
  resolver(call: number, signal: AbortSignal): NonNullable<OpenOptions['resolve']> {
    // The engine detects a circular chain by identical sources.
    const fetched = new Map<string, Promise<Openable>>();
    const opened = (file: WireFile): Promise<Openable> => {
      if (!('url' in file)) return sourceOf(file, signal);
      const key = JSON.stringify(file);
      const source = fetched.get(key) ?? sourceOf(file, signal);
      fetched.set(key, source);
      return source;
    };
    return async (reference): Promise<Resolved> => {
      // A resolver may be waiting for the user, who may have aborted.
      const resolved = await unlessAborted(unwrapOutcome<WireResolved>(this.#page.resolve(call, reference)), signal);
      if (resolved === undefined) return undefined;
      if ('format' in resolved) return { source: await opened(resolved.source), format: resolved.format };
      return opened(resolved);
    };
  }

  /** The next chunk of the stream that a call imports; null at its end. */
  pull(call: number): Promise<Uint8Array<ArrayBuffer> | null> {
    return unwrapOutcome(this.#page.pull(call));
  }
}

/** The value of an outcome. An error that the page threw goes back to it as the same object. */
async function unwrapOutcome<T>(promised: PromisedOutcome<T>): Promise<T> {
  const outcome = await promised;
  if ('value' in outcome) return outcome.value;
  const { key, message } = outcome.error;
  throw key === undefined ? fromWireError(outcome.error) : new KeptError(key, message);
}
