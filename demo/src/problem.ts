/** Owns what a person is told when something fails: a sentence, what to do, and the details folded below. */
import { isQcow2Error, type Qcow2ErrorCode } from 'qcow2';
import { formatOffset } from './size.js';

/** An error, said for a person. */
export interface Problem {
  readonly title: string;
  readonly advice: string;
  /** Name and value, for whoever has to find the cause. */
  readonly details: readonly (readonly [string, string])[];
}

const ADVICE: Readonly<Partial<Record<Qcow2ErrorCode, string>>> = {
  'not-qcow2':
    'This page opens qcow2 images. To turn another format into one: qemu-img convert -O qcow2 <this file> disk.qcow2',
  unsupported: 'The image may be fine; this page cannot read it. qemu-img info tells you more about it.',
  corrupt:
    'Try another copy of the file: a download that stopped early is a common cause. qemu-img check says what is damaged.',
  'reference-refused': 'Drop the file that the image names here too, or choose it.',
  'no-space': 'Free some space, or save to another disk.',
  unavailable: 'The browser refuses storage to this page, as private windows do. Try a normal window.',
  changed: 'Drop the file again. If another program is writing to it, wait until it has finished.',
  io: 'The browser could not read the file. If it was moved, changed or unplugged since, drop it again.',
  failed: 'Drop the file again to start afresh.',
};

/** Says what went wrong with a file of that name. */
export function describe(error: unknown, name: string): Problem {
  if (isQcow2Error(error)) {
    const advice = ADVICE[error.code] ?? 'Drop the file again to start afresh.';
    return { title: titleOf(error.code, name), advice, details: detailsOf(error) };
  }
  if (error instanceof DOMException && error.name === 'NotReadableError') {
    return { title: `${name} could not be read.`, advice: ADVICE.io!, details: [['Message', error.message]] };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    title: `${name} could not be opened.`,
    advice: 'That is a fault of this page rather than of the file. The details below help to find it.',
    details: [['Message', message]],
  };
}

function titleOf(code: Qcow2ErrorCode, name: string): string {
  switch (code) {
    case 'not-qcow2':
      return `${name} is not a qcow2 image.`;
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
    default:
      return `${name} could not be read.`;
  }
}

function detailsOf(error: { code: string; message: string; details?: object }): (readonly [string, string])[] {
  const rows: (readonly [string, string])[] = [
    ['Message', error.message],
    ['Code', error.code],
  ];
  for (const [key, value] of Object.entries(error.details ?? {})) {
    if (value === undefined || value === null) continue;
    if (key === 'what') rows.push(['Structure', String(value)]);
    else if (key === 'at' && typeof value === 'number') rows.push(['Offset', formatOffset(value)]);
    else rows.push([key, String(value)]);
  }
  return rows;
}
