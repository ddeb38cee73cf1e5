/** Calls `resolve` for the files of a chain, and refuses a file that is used twice in it. */

import type { ImageReference, Openable, Resolved } from '../api/openable.js';
import type { OpenOptions } from '../api/options.js';
import { settled } from '../engine/async/done.js';
import { Qcow2Error, type Qcow2ErrorDetails } from '../errors.js';
import { identityOf } from './identity.js';
import { closeUnopened } from './openable.js';

/** Offset of the header field that requires the file, bytes: backing_file_offset, or the data file's feature bit. */
const REQUIRED_BY_FIELD_AT = { backing: 8, data: 72 } as const;

/** A file of a chain: the image that is opened or created, or a file referenced in the chain. */
export interface ChainFile {
  readonly openable: Openable;
  /** Null for the image itself. */
  readonly reference: ImageReference | null;
}

/** A file that the caller provided, and its format if the caller or the image gives one. */
export interface ProvidedFile {
  readonly openable: Openable;
  readonly format: string | undefined;
}

/** True if this object is one of the files already. Then it is not closed here. */
export function includesFile(files: readonly ChainFile[], openable: Openable): boolean {
  return files.some((file) => file.openable === openable);
}

/**
 * Calls `resolve` for a reference. Returns null when it refuses. An abort does not wait for the result: a file that is
 * returned later is closed, unless it is one of `files`.
 *
 * @throws what `resolve` throws; the signal's reason when it aborts.
 */
export async function resolveReference(
  reference: ImageReference,
  { resolve, signal }: Pick<OpenOptions, 'resolve' | 'signal'>,
  files: readonly ChainFile[],
): Promise<ProvidedFile | null> {
  if (resolve === undefined) return null;
  const resolving = (async () => providedFile(await resolve(reference), reference))();
  try {
    await settled(resolving, signal);
    signal?.throwIfAborted();
  } catch (error) {
    // Nothing else closes a file that is returned after the abort.
    const closeLate = async () => {
      const lateFile = await resolving;
      if (lateFile !== null && !includesFile(files, lateFile.openable)) await closeUnopened(lateFile.openable);
    };
    closeLate().catch(() => {});
    throw error;
  }
  return resolving;
}

/** Normalises the result of `resolve`; null when it refused. */
function providedFile(resolved: Resolved | null, { format }: ImageReference): ProvidedFile | null {
  if (resolved === null || resolved === undefined) return null;
  if (typeof resolved === 'object' && 'source' in resolved && 'format' in resolved) {
    return { openable: resolved.source, format: resolved.format ?? format };
  }
  return { openable: resolved, format };
}

/**
 * Refuses a file that is already in the chain: writes would destroy the data of its other role, or the chain would be
 * infinite.
 *
 * @throws {@link Qcow2Error} `corrupt`; `roles` of its details are the two roles.
 */
export function refuseSecondRole(files: readonly ChainFile[], openable: Openable, reference: ImageReference): void {
  const identity = identityOf(openable);
  const first = files.find((file) => identityOf(file.openable) === identity);
  if (first === undefined) return;
  const { kind, name, depth } = reference;
  const roles = [first.reference, reference].map((each) => (each === null ? 'image' : `${each.kind} file`));
  const details: Qcow2ErrorDetails = { what: `${kind} file`, at: REQUIRED_BY_FIELD_AT[kind], name, depth, roles };
  const other = first.reference === null ? 'the image' : roleName(first.reference);
  throw new Qcow2Error('corrupt', `The ${roleName(reference)} and ${other} are one and the same file.`, details);
}

function roleName({ kind, name }: ImageReference): string {
  return `${kind} file "${name}"`;
}
