/** The state of the page: the open image, the files of its chain, its map, and the last problem. */
import { type Signal, signal } from '@preact/signals';
import { isQcow2Error } from 'qcow2';
import type { Store } from 'qcow2-opfs';
import { BitmapCount } from '../bitmaps/bitmap-count.js';
import { ImageCheck } from '../check/image-check.js';
import { continueInBackground } from '../download/background-downloads.js';
import { Download } from '../download/download.js';
import { diskOf } from '../download/download-source.js';
import { checkWorker, withEngine } from '../engine/engine.js';
import { describe, type Problem } from '../engine/problem.js';
import {
  arrange,
  type DroppedFile,
  FileSet,
  hasName,
  type Missing,
  missingFrom,
  namedInChain,
  namesIn,
} from '../image/chain.js';
import { type Origin, openOrigin, RemoteFile, StoredFile } from '../image/origin.js';
import { MapLoad } from '../map/map-load.js';
import { mapSummary } from '../map/map-words.js';
import { SnapshotDisk } from '../snapshots/snapshot-disk.js';
import { deflateInBrowser, makeSample, SAMPLE_NAME } from '../welcome/sample-image.js';
import type { DiskView } from './disk-view.js';

/** An open image. */
export interface Opened extends DiskView {
  /** Where it was opened from. */
  readonly file: Origin;
  readonly files: FileSet;
  /** Files that were dropped with it and that its chain does not name. */
  readonly unused: readonly File[];
  readonly snapshots: readonly SnapshotDisk[];
  readonly count: BitmapCount;
  readonly check: ImageCheck;
}

/** The disk of a snapshot that is shown instead of the image's own. */
export interface SnapshotView extends DiskView {
  readonly snapshot: SnapshotDisk;
}

/** The open image; null on the start page. */
export const opened: Signal<Opened | null> = signal<Opened | null>(null);
/** The snapshot of it that is shown; null while the image itself is shown. */
export const shown: Signal<SnapshotView | null> = signal<SnapshotView | null>(null);
/** The snapshot from which the user returned to the image; null if the image is not shown after a snapshot. */
export const leftSnapshot: Signal<SnapshotDisk | null> = signal<SnapshotDisk | null>(null);
/** The name of the file that is being opened; null when none is. */
export const opening: Signal<string | null> = signal<string | null>(null);
/** The last problem, until it is dismissed or something opens. */
export const problem: Signal<Problem | null> = signal<Problem | null>(null);
/** Retries what {@link problem} is about; null where a retry cannot help. */
export const retry: Signal<(() => Promise<void>) | null> = signal<(() => Promise<void>) | null>(null);
/** The last event, for screen readers. */
export const announcement: Signal<string> = signal('');

let running: AbortController | null = null;
/** The snapshot that was requested last; null once something else was. */
let requestedSnapshot: SnapshotDisk | null = null;

/** Opens files that the user dropped or chose: for the open chain if it misses them, else as a new one. */
export async function openFiles(files: readonly File[]): Promise<void> {
  const now = opened.value;
  const first = files[0];
  if (first === undefined) return;
  if (
    now &&
    now.missing.length > 0 &&
    now.missing.some((missing) => files.some((file) => isMissingFile(file, missing)))
  ) {
    await run(now.file.name, async (store, signal) => {
      const next = await open(store, now.file, now.files.with(files), [], signal);
      const names = namedInChain(next.image.info);
      return { ...next, unused: files.filter((file) => !names.some((name) => hasName(file, name))) };
    });
    return;
  }
  await run(first.name, async (store, signal) => {
    const members = files.length === 1 ? [{ file: first, needs: [] }] : await readDroppedFiles(store, files, signal);
    signal.throwIfAborted();
    const { leaf, unused } = arrange(members);
    opening.value = leaf.name;
    return open(store, leaf, new FileSet(files), unused, signal);
  });
}

/** Opens one of the available files instead. */
export function openAs(leaf: Origin, files: FileSet): Promise<void> {
  return run(leaf.name, (store, signal) => open(store, leaf, files, [], signal));
}

/** Opens the sample image, which is generated first. */
export function openSample(): Promise<void> {
  return run(SAMPLE_NAME, async (store, signal) => {
    const file = new File([await makeSample(deflateInBrowser)], SAMPLE_NAME);
    signal.throwIfAborted();
    return open(store, file, new FileSet([file]), [], signal);
  });
}

/** Opens an image in this browser. */
export function openStored(name: string): Promise<void> {
  return openAs(new StoredFile(name), new FileSet([]));
}

/** Opens an image on a web server. Resolves when it is open, refused, or cancelled. */
export function openAddress(url: URL): Promise<void> {
  return openAs(new RemoteFile(url), new FileSet([]));
}

/** Cancels the current opening. */
export function cancelOpening(): void {
  running?.abort();
}

/** Supplies a file for one that the open chain misses, whatever its own name is. */
export async function provideFile(missing: Missing, file: File): Promise<void> {
  const now = opened.value;
  if (now) await openAs(now.file, now.files.choosing(missing.name ?? '', file));
}

/**
 * Shows the disk of a snapshot instead of the image's own. Resolves when it is shown or refused, or when something else
 * is to be shown.
 */
export async function showSnapshot(of: Opened, snapshot: SnapshotDisk): Promise<void> {
  requestedSnapshot = snapshot;
  const superseded = (): boolean => opened.value !== of || requestedSnapshot !== snapshot;
  try {
    const image = await snapshot.open();
    if (superseded() || shown.value?.snapshot === snapshot) return;
    leaveSnapshot();
    const { name, download } = snapshot;
    const abort = new AbortController();
    shown.value = { name, snapshot, image, missing: of.missing, map: new MapLoad(image), download, abort };
    problem.value = null;
    void loadMap(shown.value);
  } catch (error) {
    if (!superseded()) report(error, of.name);
  }
}

/**
 * Starts a refused download again. If the worker in which the image was open is dead, opens the image again first, and
 * downloads the same disk of it.
 */
export async function retryDownload(download: Download): Promise<void> {
  const { state, fileName } = download;
  const now = opened.value;
  const lost = state.value.step === 'refused' && state.value.lost;
  if (!lost || now === null || !downloadsOf(now).includes(download)) return download.start();
  const next = await reopen(now);
  await (next &&
    downloadsOf(next)
      .find((other) => other.fileName === fileName)
      ?.start());
}

/** Opens an image again and shows the same disk of it; null if it does not open. */
async function reopen(of: Opened): Promise<Opened | null> {
  const id = shown.value?.snapshot.info.id;
  await openAs(of.file, of.files);
  const next = opened.value;
  if (next === null || next === of) return null;
  const snapshot = next.snapshots.find(({ info }) => info.id === id);
  if (snapshot) await showSnapshot(next, snapshot);
  return next;
}

function downloadsOf({ download, snapshots }: Opened): Download[] {
  return [download, ...snapshots.map((snapshot) => snapshot.download)];
}

/** Shows the image again. */
export function leaveSnapshot(): void {
  requestedSnapshot = null;
  leftSnapshot.value = shown.value?.snapshot ?? null;
  shown.value?.abort.abort();
  shown.value = null;
}

/** Shows a problem with the file of that name. */
export function report(error: unknown, name: string): void {
  checkWorker(error);
  problem.value = describe(error, name);
  const now = opened.value;
  // The open image is of no more use when its worker is dead.
  retry.value = now !== null && isQcow2Error(error, 'failed') ? async () => void (await reopen(now)) : null;
}

/** Reports that a folder was dropped, which is not supported. */
export function refuseFolder(name: string): void {
  retry.value = null;
  problem.value = {
    title: `${name} is a folder.`,
    reason: null,
    advice: 'Open it, and drop the image that is inside, together with the files that it is based on.',
    details: [],
  };
}

/** Closes the image and shows the start page. */
export function closeImage(): void {
  running?.abort();
  opening.value = null;
  problem.value = null;
  replace(null);
}

function isMissingFile(file: File, missing: Missing): boolean {
  return missing.name !== undefined && hasName(file, missing.name);
}

async function run(name: string, work: (store: Store, signal: AbortSignal) => Promise<Opened>): Promise<void> {
  running?.abort();
  const abort = new AbortController();
  running = abort;
  requestedSnapshot = null;
  opening.value = name;
  try {
    const next = await withEngine((store) => work(store, abort.signal));
    if (abort.signal.aborted) {
      await next.image.close();
      return;
    }
    problem.value = null;
    replace(next);
    announcement.value = `${next.file.name} is open.`;
    void loadMap(next);
  } catch (error) {
    // By now the image may be known among the files.
    if (abort.signal.aborted) return;
    report(error, opening.value ?? name);
    // A retry does not help with a file of another kind.
    if (!isQcow2Error(error, 'not-qcow2')) retry.value = () => run(name, work);
  } finally {
    if (running === abort) opening.value = null;
  }
}

/**
 * Loads the map in the background, and announces only its completion: an announcement for each step would drown the
 * rest.
 */
async function loadMap({ image, map, abort }: DiskView): Promise<void> {
  await map.run(image, abort.signal);
  if (map.state.value === 'complete')
    announcement.value = `The map is complete. ${mapSummary(map.allocation).join(' ')}`;
}

function replace(next: Opened | null): void {
  const old = opened.value;
  leaveSnapshot();
  leftSnapshot.value = null;
  opened.value = next;
  if (!old) return;
  old.abort.abort();
  old.check.cancel();
  old.count.cancel();
  continueInBackground(downloadsOf(old), () => {
    for (const snapshot of old.snapshots) snapshot.close();
    old.image.close().catch(checkWorker);
  });
}

/** Which other files each one needs; null for those that are not qcow2 images, such as a raw base. */
async function readDroppedFiles(store: Store, files: readonly File[], signal: AbortSignal): Promise<DroppedFile[]> {
  return Promise.all(
    files.map(async (file) => {
      try {
        const image = await store.openFile(file, { signal });
        const needs = namesIn(image.info);
        await image.close();
        return { file, needs };
      } catch (error) {
        // A damaged file is reported when the chain that needs it is opened.
        if (isQcow2Error(error, 'not-qcow2', 'unsupported', 'corrupt')) return { file, needs: null };
        throw error;
      }
    }),
  );
}

async function open(
  store: Store,
  leaf: Origin,
  files: FileSet,
  unused: readonly File[],
  signal: AbortSignal,
): Promise<Opened> {
  const image = await openOrigin(store, leaf, files, signal);
  return {
    name: leaf.name,
    file: leaf,
    image,
    files,
    unused,
    missing: missingFrom(image.info, leaf.name),
    map: new MapLoad(image),
    download: new Download(diskOf(image, leaf.name)),
    snapshots: image.snapshots.map((info) => new SnapshotDisk(info, image, leaf.name)),
    count: new BitmapCount(image, leaf.name),
    check: new ImageCheck(image, leaf.name),
    abort: new AbortController(),
  };
}
