/** Converts the platform's storage errors to this library's codes. */
import { Qcow2Error } from 'qcow2';

/**
 * The error for insufficient storage, with the bytes needed and the bytes that the platform reports as free. The latter
 * are null if they would contradict the error: Chromium always reports 10 GiB, whatever the quota is.
 */
export function noSpace(needed: number, reported: number | null, cause?: unknown): Qcow2Error {
  const available = reported !== null && reported < needed ? reported : null;
  const have = available === null ? 'the browser has less' : `the browser reports ${available} available`;
  return new Qcow2Error(
    'no-space',
    `${needed > 0 ? `${needed} bytes are` : 'Space is'} needed, and ${have}: ` +
      "free some of this site's storage and try again.",
    { needed, available: available ?? undefined },
    { cause },
  );
}

/** The error where the platform refuses storage altogether. */
export function storageUnavailable(cause: unknown): Qcow2Error {
  return new Qcow2Error(
    'unavailable',
    `This browser refuses its private file system here, as some do in private windows: ${messageOf(cause)}`,
    {},
    { cause },
  );
}

/**
 * Converts a platform error by its name; `io` when the name is not specific. An abort, and errors not from the
 * platform, are returned unchanged.
 */
export function storageError(error: unknown, needed: number, available: number | null): unknown {
  if (!(error instanceof DOMException) || error.name === 'AbortError') return error;
  return knownStorageError(error, needed, available) ?? ioError(error);
}

/** The error for a storage failure that has no specific code. */
export function ioError(cause: unknown): Qcow2Error {
  return new Qcow2Error('io', `The browser's storage failed: ${String(cause)}`, { what: 'file' }, { cause });
}

/** Converts platform errors whose name is specific; null for every other. */
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
      return new Qcow2Error('io', `The file could not be given its name: ${error.message}`, {}, { cause: error });
    default:
      return null;
  }
}

/**
 * The bytes that the platform reports as free for the origin; null where it does not report them. For messages only,
 * never a reason to refuse: Chromium's value is not real, and files of ten times that size fit.
 */
export async function availableBytes(): Promise<number | null> {
  const estimate = await navigator.storage?.estimate?.().catch(() => undefined);
  if (estimate?.quota === undefined || estimate.usage === undefined) return null;
  return Math.max(0, estimate.quota - estimate.usage);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
