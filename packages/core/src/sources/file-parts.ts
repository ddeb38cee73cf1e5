/** The files of one chain, as they are handed over: one that would have two parts in it at once is refused. */

import type { ImageReference, Openable, Resolved } from '../api/openable.js';
import type { OpenOptions } from '../api/options.js';
import { settled } from '../engine/async/done.js';
import { Qcow2Error, type Qcow2ErrorDetails } from '../errors.js';
import { identityOf } from './identity.js';
import { closeUnopened } from './openable.js';

/** Where the header says that it needs such a file, bytes: backing_file_offset, and the feature bit of a data file. */
const NAMED_AT = { backing: 8, data: 72 } as const;

/** A file of a chain: the image that is opened or created, or a file that the chain names. */
export interface FilePart {
  readonly openable: Openable;
  /** Null for the image itself. */
  readonly reference: ImageReference | null;
}

/** A file that the caller handed over, and its format where the caller or the image says one. */
export interface HandedFile {
  readonly openable: Openable;
  readonly format: string | undefined;
}

/** Whether this very object is among the files; then it stays whose it is. */
export function isHandedOver(files: readonly FilePart[], openable: Openable): boolean {
  return files.some((file) => file.openable === openable);
}

/**
 * Asks `resolve` for the file of a reference; null when it refuses. An abort does not wait for what it returns: a file
 * that comes after that is closed, unless it is among `files` already.
 *
 * @throws what `resolve` throws; the signal's reason when it aborts.
 */
export async function askFor(
  reference: ImageReference,
  { resolve, signal }: Pick<OpenOptions, 'resolve' | 'signal'>,
  files: readonly FilePart[],
): Promise<HandedFile | null> {
  if (resolve === undefined) return null;
  const asking = (async () => handedOver(await resolve(reference), reference))();
  try {
    await settled(asking, signal);
    signal?.throwIfAborted();
  } catch (error) {
    // Nothing else closes a file that comes too late.
    const closeLate = async () => {
      const late = await asking;
      if (late !== null && !isHandedOver(files, late.openable)) await closeUnopened(late.openable);
    };
    closeLate().catch(() => {});
    throw error;
  }
  return asking;
}

/** What `resolve` returned for a reference; null when it refused. */
function handedOver(answer: Resolved | null, { format }: ImageReference): HandedFile | null {
  if (answer === null || answer === undefined) return null;
  if (typeof answer === 'object' && 'source' in answer && 'format' in answer) {
    return { openable: answer.source, format: answer.format ?? format };
  }
  return { openable: answer, format };
}

/**
 * Refuses a file that is in the chain already: its writes would destroy what the other part needs, or its chain would
 * never end.
 *
 * @throws {@link Qcow2Error} `corrupt`; `roles` of its details are the two parts.
 */
export function refuseSecondPart(files: readonly FilePart[], openable: Openable, reference: ImageReference): void {
  const identity = identityOf(openable);
  const first = files.find((file) => identityOf(file.openable) === identity);
  if (first === undefined) return;
  const { kind, name, depth } = reference;
  const roles = [first.reference, reference].map((each) => (each === null ? 'image' : `${each.kind} file`));
  const details: Qcow2ErrorDetails = { what: `${kind} file`, at: NAMED_AT[kind], name, depth, roles };
  const other = first.reference === null ? 'the image' : partName(first.reference);
  throw new Qcow2Error('corrupt', `The ${partName(reference)} and ${other} are one and the same file.`, details);
}

function partName({ kind, name }: ImageReference): string {
  return `${kind} file "${name}"`;
}
