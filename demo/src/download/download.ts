/** Owns the download of an image, by the best way that the browser has. */
import { type Signal, signal } from '@preact/signals';
import { isQcow2Error, type Progress } from 'qcow2';
import type { TemporaryExport } from 'qcow2-opfs';
import { whileBusy } from '../engine/busy.js';
import { noticeError } from '../engine/engine.js';
import { Pace } from '../engine/pace.js';
import { describe, type Problem } from '../engine/problem.js';
import { formatExactSize, formatSize } from '../engine/size.js';
import type { DownloadSource } from './download-source.js';
import { savePicker } from './save-picker.js';

/** Where the bytes go: into a file that a person picks, a temporary file of the browser's, or memory. */
export type Route = 'picker' | 'temporary-file' | 'memory';

/** What a download is doing. */
export type DownloadState =
  | { readonly step: 'idle' }
  | { readonly step: 'asking' }
  | { readonly step: 'running'; readonly route: Route; readonly done: number; readonly total: number }
  | { readonly step: 'finished'; readonly route: Route; readonly seconds: number }
  | { readonly step: 'cancelled' }
  | { readonly step: 'refused'; readonly problem: Problem };

/** The largest disk that is collected in memory where there is no other way, bytes. */
export const MAX_IN_MEMORY: number = 512 * 1024 * 1024;

/** The object URL of a Blob is kept this long for the browser to begin its download, milliseconds. */
const URL_LIFETIME = 60_000;

/** The download of one image; a second one can be started when the first has ended. */
export class Download {
  /** What it is doing. */
  readonly state: Signal<DownloadState> = signal<DownloadState>({ step: 'idle' });
  /** What the file will be called. */
  readonly fileName: string;
  readonly format: 'raw' | 'qcow2';
  /** How fast the running one goes. */
  pace: Pace = new Pace(0);
  readonly #source: DownloadSource;
  #abort: AbortController | null = null;
  #startedAt = 0;

  /** Of what the source gives. */
  constructor(source: DownloadSource) {
    this.#source = source;
    this.fileName = source.fileName;
    this.format = source.format;
  }

  /** Length of the file that is made, bytes. */
  get total(): number {
    return this.#source.size;
  }

  /** Whether it is under way: it runs, or asks where to save. */
  get busy(): boolean {
    const { step } = this.state.value;
    return step === 'asking' || step === 'running';
  }

  /** Starts. Called from a click, which the file picker demands. Returns when it has ended, in whatever way. */
  async start(): Promise<void> {
    if (this.busy) return;
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const route = await whileBusy(this.#save(abort.signal));
      if (route === null) this.state.value = { step: 'idle' };
      else this.state.value = { step: 'finished', ...route };
    } catch (error) {
      if (abort.signal.aborted) {
        this.state.value = { step: 'cancelled' };
        return;
      }
      noticeError(error);
      this.state.value = { step: 'refused', problem: describeDownload(error, this.#source.imageName) };
    }
  }

  /** Stops what runs; nothing half-written is left. */
  cancel(): void {
    this.#abort?.abort();
  }

  /** Deletes the temporary file that a finished download came from. */
  async freeSpace(): Promise<void> {
    await removeTemporaryFile(this);
  }

  /** Sets the state before it waits for anything: until then another press would start a second one. */
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

  /** By a temporary file; false where the browser offers none. */
  async #tryTemporaryFile(abort: AbortSignal): Promise<boolean> {
    const options = this.#begin('temporary-file', abort);
    await Promise.all([...temporaryFiles.keys()].map(removeTemporaryFile));
    try {
      const temporary = await this.#source.temporaryExport(options);
      temporaryFiles.set(this, temporary);
      handOver(temporary.file, this.fileName);
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
    handOver(new Blob(chunks), this.fileName);
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
 * The temporary files of downloads that have ended. The browser does not say when it has read one, so it stays until a
 * person frees it, the next download begins, or the page is left: what is left then is swept by the next visit.
 */
const temporaryFiles = new Map<Download, TemporaryExport>();

async function removeTemporaryFile(download: Download): Promise<void> {
  const temporary = temporaryFiles.get(download);
  temporaryFiles.delete(download);
  // Before it waits: by then the download may have been started again, and have ended.
  if (download.state.value.step === 'finished') download.state.value = { step: 'idle' };
  await temporary?.remove().catch(noticeError);
}

const FILE_TYPES = {
  raw: { description: 'Raw disk image', accept: { 'application/octet-stream': ['.raw', '.img'] } },
  qcow2: { description: 'QEMU disk image', accept: { 'application/octet-stream': ['.qcow2'] } },
};

/** Asks where to save; null when the person closes the picker. */
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

/** The picker has made the file before anything is written: without content it is litter. */
async function removeIfEmpty(handle: FileSystemFileHandle & { remove?: () => Promise<void> }): Promise<void> {
  try {
    if ((await handle.getFile()).size === 0) await handle.remove?.();
  } catch {
    // The export's own error says more than that its empty file could not be removed.
  }
}

/** Gives the browser a file to download. */
function handOver(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), URL_LIFETIME);
}

/** The only way left is memory, and the disk is too large for it. */
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
      advice: `This browser offers the page no storage here, as in a private window, and in memory it makes files of up to ${formatSize(MAX_IN_MEMORY)}. Try a normal window.`,
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
