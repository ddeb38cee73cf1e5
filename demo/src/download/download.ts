/** Downloads an image by the best way that the browser has. */
import { type Signal, signal } from '@preact/signals';
import { isQcow2Error, type Progress } from 'qcow2';
import type { TemporaryExport } from 'qcow2-opfs';
import { whileBusy } from '../engine/busy.js';
import { checkWorker } from '../engine/engine.js';
import { Pace } from '../engine/pace.js';
import { describe, type Problem } from '../engine/problem.js';
import { formatExactSize, formatSize } from '../engine/size.js';
import { refreshStore } from '../store/store-contents.js';
import type { DownloadSource } from './download-source.js';
import { savePicker } from './save-picker.js';

/** The target of the bytes: a file that the user picks, a temporary file in OPFS, or memory. */
export type Route = 'picker' | 'temporary-file' | 'memory';

/** The state of a download. */
export type DownloadState =
  | { readonly step: 'idle' }
  | { readonly step: 'asking' }
  | { readonly step: 'running'; readonly route: Route; readonly done: number; readonly total: number }
  | { readonly step: 'finished'; readonly route: Route; readonly seconds: number }
  | { readonly step: 'cancelled' }
  /** `lost`: the worker in which the image was open is dead. */
  | { readonly step: 'refused'; readonly problem: Problem; readonly lost: boolean };

/** The largest disk that is collected in memory where there is no other way, bytes. */
export const MAX_IN_MEMORY: number = 512 * 1024 * 1024;

/** The object URL of a Blob is revoked after this time, in which the browser starts its download. Milliseconds. */
const URL_LIFETIME = 60_000;

/** The download of one image. It can be started again when it has ended. */
export class Download {
  /** The current state. */
  readonly state: Signal<DownloadState> = signal<DownloadState>({ step: 'idle' });
  /** The name of the resulting file. */
  readonly fileName: string;
  readonly format: 'raw' | 'qcow2';
  /** The speed of the running download. */
  pace: Pace = new Pace(0);
  readonly #source: DownloadSource;
  #abort: AbortController | null = null;
  #startedAt = 0;

  /** Downloads what `source` provides. */
  constructor(source: DownloadSource) {
    this.#source = source;
    this.fileName = source.fileName;
    this.format = source.format;
  }

  /** Length of the resulting file, bytes. */
  get total(): number {
    return this.#source.size;
  }

  /** True while it runs or shows the file picker. */
  get busy(): boolean {
    const { step } = this.state.value;
    return step === 'asking' || step === 'running';
  }

  /** Starts. Must be called from a click, as the file picker requires. Resolves when it has ended for any reason. */
  async start(): Promise<void> {
    if (this.busy) return;
    const abort = new AbortController();
    this.#abort = abort;
    const before = this.state.value;
    try {
      const route = await whileBusy(this.#save(abort.signal));
      // The picker was closed: what was refused before can still be tried again.
      if (route === null) this.state.value = before.step === 'refused' ? before : { step: 'idle' };
      else this.state.value = { step: 'finished', ...route };
    } catch (error) {
      if (abort.signal.aborted) {
        this.state.value = { step: 'cancelled' };
        return;
      }
      checkWorker(error);
      const problem = describeDownload(error, this.#source.imageName);
      this.state.value = { step: 'refused', problem, lost: isQcow2Error(error, 'failed') };
    }
  }

  /** Stops the download. No partial file is left. */
  cancel(): void {
    this.#abort?.abort();
  }

  /** Deletes the temporary file of a finished download. */
  async freeSpace(): Promise<void> {
    await removeTemporaryFile(this);
  }

  /** Sets the state before it awaits anything: otherwise another press could start a second download. */
  async #save(abort: AbortSignal): Promise<{ route: Route; seconds: number } | null> {
    const pick = savePicker();
    if (pick) {
      this.state.value = { step: 'asking' };
      const handle = await pickFile(pick, this.fileName, this.#source.format);
      if (handle === null) return null;
      await this.#export(handle, abort);
      return this.#end('picker');
    }
    if (await this.#tryTemporaryFile(abort)) return this.#end('temporary-file');
    await this.#collect(abort);
    return this.#end('memory');
  }

  async #export(handle: FileSystemFileHandle, abort: AbortSignal): Promise<void> {
    const options = this.#begin('picker', abort);
    try {
      await this.#source.export(handle, options);
    } catch (error) {
      await removeIfEmpty(handle);
      throw error;
    }
  }

  /** Downloads through a temporary file; false where the browser has none. */
  async #tryTemporaryFile(abort: AbortSignal): Promise<boolean> {
    const options = this.#begin('temporary-file', abort);
    await Promise.all([...temporaryFiles.keys()].map(removeTemporaryFile));
    try {
      const temporary = await this.#source.temporaryExport(options);
      temporaryFiles.set(this, temporary);
      startBrowserDownload(temporary.file, this.fileName);
      void refreshStore();
      return true;
    } catch (error) {
      if (isQcow2Error(error, 'unavailable')) return false;
      throw error;
    }
  }

  async #collect(abort: AbortSignal): Promise<void> {
    if (this.total > MAX_IN_MEMORY) throw new TooLargeForMemory(this.total);
    const { onProgress } = this.#begin('memory', abort);
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let done = 0;
    const reader = (await this.#source.stream({ signal: abort })).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      chunks.push(next.value);
      done += next.value.length;
      onProgress({ phase: 'read', done, total: this.total });
    }
    startBrowserDownload(new Blob(chunks), this.fileName);
  }

  #begin(route: Route, abort: AbortSignal): { signal: AbortSignal; onProgress: (progress: Progress) => void } {
    this.#startedAt = performance.now();
    this.pace = new Pace(this.#startedAt);
    const report = (done: number): void => {
      this.pace.update(done, performance.now());
      this.state.value = { step: 'running', route, done, total: this.total };
    };
    this.state.value = { step: 'running', route, done: 0, total: this.total };
    return { signal: abort, onProgress: (progress) => report(progress.done) };
  }

  #end(route: Route): { route: Route; seconds: number } {
    return { route, seconds: (performance.now() - this.#startedAt) / 1000 };
  }
}

/**
 * The temporary files of ended downloads. Browsers do not report when they have read one. So it stays until the user
 * deletes it, the next download begins, or the page is left: the next visit deletes the rest.
 */
const temporaryFiles = new Map<Download, TemporaryExport>();

async function removeTemporaryFile(download: Download): Promise<void> {
  const temporary = temporaryFiles.get(download);
  temporaryFiles.delete(download);
  // Must come before the await: the download may be started again, and end, meanwhile.
  if (download.state.value.step === 'finished') download.state.value = { step: 'idle' };
  if (temporary === undefined) return;
  await temporary.remove().catch(checkWorker);
  void refreshStore();
}

const FILE_TYPES = {
  raw: { description: 'Raw disk image', accept: { 'application/octet-stream': ['.raw', '.img'] } },
  qcow2: { description: 'QEMU disk image', accept: { 'application/octet-stream': ['.qcow2'] } },
};

/** Asks the user where to save; null when the picker is closed. */
async function pickFile(
  pick: NonNullable<ReturnType<typeof savePicker>>,
  suggestedName: string,
  format: 'raw' | 'qcow2',
): Promise<FileSystemFileHandle | null> {
  try {
    return await pick({
      suggestedName,
      types: [FILE_TYPES[format]],
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return null;
    throw error;
  }
}

/** The picker creates the file before anything is written. An empty one must not be left. */
async function removeIfEmpty(handle: FileSystemFileHandle & { remove?: () => Promise<void> }): Promise<void> {
  try {
    if ((await handle.getFile()).size === 0) await handle.remove?.();
  } catch {
    // The export's own error matters more than a failed removal of the empty file.
  }
}

/** Starts the browser's download of a file. */
function startBrowserDownload(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), URL_LIFETIME);
}

/** Only memory is left as a target, and the disk is too large for it. */
class TooLargeForMemory extends Error {
  readonly size: number;

  constructor(size: number) {
    super(`The disk has ${size} bytes; at most ${MAX_IN_MEMORY} are collected in memory.`);
    this.size = size;
  }
}

function describeDownload(error: unknown, name: string): Problem {
  if (error instanceof TooLargeForMemory) {
    return {
      title: `${formatSize(error.size)} is too much for this window.`,
      reason: null,
      advice:
        'This browser offers the page no storage, as in a private window. In memory the page makes files of up to ' +
        `${formatSize(MAX_IN_MEMORY)}. Try a normal window.`,
      details: [['Message', error.message]],
    };
  }
  const described = describe(error, name);
  if (!isQcow2Error(error, 'no-space')) return described;
  const { needed, available } = error.details;
  if (typeof needed !== 'number' || typeof available !== 'number') return described;
  return {
    ...described,
    reason: null,
    title: `The file needs ${formatExactSize(needed)}, and ${formatSize(available)} are free for this page.`,
  };
}
