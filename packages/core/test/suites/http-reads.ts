/** Owns what the suites of the source over HTTP have in common: the bytes on the server, and reads of them. */
import { type ByteSource, type HttpSourceOptions, httpSource } from '../../src/index.js';
import { type Hosted, host } from '../support/http/hosted.js';
import type { FilePlan } from '../support/http/plan.js';

export const KIB = 1024;
export const MIB: number = 1024 * KIB;

/** What every file holds; it differs from place to place. */
export const bytes: Uint8Array<ArrayBuffer> = Uint8Array.from(
  { length: 3 * MIB + 123 },
  (_, index) => (index * 7 + (index >> 12)) & 0xff,
);

/** Waits that a test does not notice. */
export const quick: HttpSourceOptions = { retryDelay: 5 };

/** Puts the bytes on the server and opens them. */
export async function open(
  plan: FilePlan = {},
  options: HttpSourceOptions = {},
): Promise<{ file: Hosted; source: ByteSource }> {
  const file = await host(bytes, plan);
  return { file, source: await httpSource(file.url, { ...quick, ...options }) };
}

/** Reads a part; what a source throws at once is a rejection, too. */
export async function readAt(
  source: ByteSource,
  at: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const into = new Uint8Array(length).fill(0xee);
  await source.read([{ at, bytes: into }], signal);
  return into;
}

/** The bytes as they are, with zeros past the end; `room` is how long the buffer is that they stand in. */
export function expected(at: number, length: number, room: number = length): Uint8Array {
  const part = new Uint8Array(room);
  part.set(bytes.subarray(at, at + length));
  return part;
}
