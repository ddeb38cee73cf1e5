/** Explains errors to the user: what failed, why, what to do, and folded details. */
import { isQcow2Error, type Qcow2Error, type Qcow2ErrorCode } from 'qcow2';
import { fetchWords } from './fetch-problem.js';
import { formatCount, formatExactSize, formatOffset, formatSize } from './size.js';

/** An error, explained for the user. */
export interface Problem {
  readonly title: string;
  /** The cause in a sentence, if the title does not contain it. */
  readonly reason: string | null;
  readonly advice: string;
  /** Names and values, for finding the cause. */
  readonly details: readonly (readonly [string, string])[];
}

const CONVERT = 'This page opens qcow2 images. qemu-img convert -O qcow2 makes one from most other disk formats.';
const AGAIN = 'Drop the file again to start afresh.';

/** What can be done about it, by code; the default is {@link AGAIN}. */
const ADVICE: Readonly<Partial<Record<Qcow2ErrorCode, string>>> = {
  unsupported: 'The image may be intact: this page cannot read it. qemu-img info shows more about it.',
  corrupt:
    'Try another copy: a download that stopped early is a common cause. qemu-img check reports what else is damaged.',
  'reference-refused': 'Drop the file that the image names here too, or choose it.',
  'no-space': 'Free some space, or save to another disk.',
  unavailable: 'The browser refuses storage to this page, as private windows do. Try a normal window.',
  changed: 'Drop the file again. If another program is writing to it, wait until it has finished.',
  exists: 'Choose another name, or rename or delete the image that has it.',
  locked: 'Close it there, or wait until what is done with it here has ended. Then try again.',
  'not-found': 'Another tab may have renamed or deleted it: look at the list again.',
  failed: 'Open it again, or try again: the page starts a new worker.',
  io: 'If the file was moved, changed or unplugged since, drop it again.',
};

/** Explains an error about a file of that name. */
export function describe(error: unknown, name: string): Problem {
  if (isQcow2Error(error, 'not-qcow2')) return describeForeign(error, name);
  if (isQcow2Error(error)) {
    const words = fetchWords(error);
    if (words) return { ...words, reason: error.message, details: detailsOf(error) };
    const title = titleOf(error, name);
    const advice = isBase(error) ? 'Delete those first.' : (ADVICE[error.code] ?? AGAIN);
    return { title, reason: spaceWords(error) ?? error.message, advice, details: detailsOf(error) };
  }
  if (error instanceof RangeError && error.message.startsWith('An image cannot be named')) return describeName(error);
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    title: `${name} could not be opened.`,
    reason: null,
    advice: 'That is a fault of this page rather than of the file. The details help to find it.',
    details: [['Message', message]],
  };
}

/** An invalid name, with the store's message: not every name is typed into a field with its own message. */
function describeName({ message }: RangeError): Problem {
  return {
    title: message,
    reason: null,
    advice: 'Give it another name, or give the file one and choose it again.',
    details: [],
  };
}

/** A file of another kind: the engine recognises many by their first bytes. */
function describeForeign(error: Qcow2Error, name: string): Problem {
  const { found } = error.details;
  const details = detailsOf(error);
  if (isInChain(error)) {
    return {
      title: `${name} references a file of another format than it states.`,
      reason: error.message,
      advice: CONVERT,
      details,
    };
  }
  if (typeof found !== 'string') {
    return { title: `${name} is not a qcow2 image.`, reason: null, advice: CONVERT, details };
  }
  const [what, hint] = found.split('; ');
  return {
    title: `${name} is not a qcow2 image: it is ${what}.`,
    reason: null,
    advice: hint === undefined ? adviceFor(found) : 'Unpack it, and drop the image that is inside.',
    details,
  };
}

function adviceFor(found: string): string {
  if (found === 'an empty file')
    return 'There is nothing in it: the download may not have begun, or the disk was full.';
  if (found === 'a text file') return 'This page opens qcow2 disk images. Was another file meant?';
  return CONVERT;
}

function titleOf(error: Qcow2Error, name: string): string {
  if (isInChain(error)) return `A file that ${name} is based on cannot be used.`;
  switch (error.code) {
    case 'unsupported':
      return `${name} needs something that this page does not have.`;
    case 'corrupt':
      return `${name} is damaged.`;
    case 'reference-refused':
      return `${name} needs a file that is not here.`;
    case 'no-space':
      return 'There is not enough space.';
    case 'unavailable':
      return 'This browser does not offer the storage that is needed.';
    case 'changed':
      return `${name} changed while it was being read.`;
    case 'failed':
      return `The worker that reads ${name} stopped.`;
    case 'exists':
      return `There is an image of the name ${name} already.`;
    case 'locked':
      return isBase(error) ? `${name} is the base of other images.` : `${name} is in use here, or open in another tab.`;
    case 'not-found':
      return `${name} is not there any more.`;
    default:
      return `${name} could not be read.`;
  }
}

/** How much space is needed and how much is free; null where the error does not contain both. */
function spaceWords(error: Qcow2Error): string | null {
  const { needed, available } = error.details;
  if (typeof needed !== 'number' || typeof available !== 'number' || needed === 0) return null;
  return `${formatExactSize(needed)} are needed, and ${formatSize(available)} are free for this page.`;
}

/** True if an image is locked because others are based on it. */
function isBase(error: Qcow2Error): boolean {
  return error.code === 'locked' && error.details.overlays !== undefined;
}

/** True if the error is in a lower layer of the chain: the details then contain the layer. */
function isInChain(error: Qcow2Error): boolean {
  return typeof error.details.layer === 'number' && error.details.layer > 0;
}

/** The details that are lengths in bytes. */
const LENGTHS: readonly string[] = ['needed', 'available', 'size', 'fileSize', 'length'];

function detailsOf(error: Qcow2Error): (readonly [string, string])[] {
  const rows: (readonly [string, string])[] = [
    ['Message', error.message],
    ['Code', error.code],
  ];
  for (const [key, value] of Object.entries(error.details)) {
    if (value === undefined || value === null) continue;
    if (key === 'what') rows.push(['Structure', String(value)]);
    else if (key === 'at' && typeof value === 'number') rows.push(['Offset', formatOffset(value)]);
    else if (LENGTHS.includes(key) && typeof value === 'number') rows.push([key, formatExactSize(value)]);
    else rows.push([key, typeof value === 'number' ? formatFigure(value) : String(value)]);
  }
  return rows;
}

/** A figure in both notations: some are counts, some are bit patterns. */
function formatFigure(value: number): string {
  return value < 10 ? String(value) : `${formatCount(value)} (${formatOffset(value)})`;
}
