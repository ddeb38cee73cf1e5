/** Owns what the platform's storage errors mean in this library's codes. */
import { Qcow2Error } from 'qcow2';

/**
 * The error for storage that does not suffice: how many bytes are needed, and how many the platform says there are.
 * What it says is null when it would contradict the error: Chromium always says 10 GiB, whatever the quota is.
 */
export function noSpace(needed: number, reported: number | null, cause?: unknown): Qcow2Error {
  const available = reported !== null && reported < needed ? reported : null;
  const have = available === null ? 'the browser has less' : `the browser reports ${available} available`;
  return new Qcow2Error(
    'no-space',
    `${needed > 0 ? `${needed} bytes are` : 'Space is'} needed and ${have}: free some of this site's storage and try again.`,
    { needed, available: available ?? undefined },
    { cause },
  );
}

/** The error for a storage that the platform refuses altogether. */
export function storageUnavailable(cause: unknown): Qcow2Error {
  return new Qcow2Error(
    'unavailable',
    `This browser refuses its private file system here, as some do in private windows: ${messageOf(cause)}`,
    {},
    { cause },
  );
}

/**
 * A platform error by its name, in this library's codes: `io` when the name says no more. An abort, and what is no
 * error of the platform, are returned as they are.
 */
export function storageError(error: unknown, needed: number, available: number | null): unknown {
  if (!(error instanceof DOMException) || error.name === 'AbortError') return error;
  return knownStorageError(error, needed, available) ?? ioError(error);
}

/** The error for storage that failed in a way that has no code of its own. */
export function ioError(cause: unknown): Qcow2Error {
  return new Qcow2Error('io', `The browser's storage failed: ${String(cause)}`, { what: 'file' }, { cause });
}

/** The error for those platform errors whose name says what is wrong; null for every other. */
export function knownStorageError(error: unknown, needed: number, available: number | null): Qcow2Error | null {
  if (!(error instanceof DOMException)) return null;
  switch (error.name) {
    case 'QuotaExceededError':
      return noSpace(needed, available, error);
    case 'NoModificationAllowedError':
      return new Qcow2Error('locked', 'The file is in use by another tab, worker or handle.', {}, { cause: error });
    case 'NotAllowedError':
    case 'SecurityError':
      return new Qcow2Error('unavailable', `The file may not be written: ${error.message}`, {}, { cause: error });
    case 'NotFoundError':
      return new Qcow2Error('not-found', `The file is not there any more: ${error.message}`, {}, { cause: error });
    case 'InvalidModificationError':
    case 'TypeMismatchError':
      return new Qcow2Error('io', `The file could not get its name: ${error.message}`, {}, { cause: error });
    default:
      return null;
  }
}

/**
 * How many more bytes the platform says the origin may store; null where it does not say. A hint for messages, never a
 * reason to refuse: Chromium's answer is made up, and files of ten times that size fit.
 */
export async function availableBytes(): Promise<number | null> {
  const estimate = await navigator.storage?.estimate?.().catch(() => undefined);
  if (estimate?.quota === undefined || estimate.usage === undefined) return null;
  return Math.max(0, estimate.quota - estimate.usage);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
