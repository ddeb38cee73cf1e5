/** Reads a disk unit by unit, to know which of them a normal read refuses; and as a stream and a map with salvage. */
import { expect } from 'vitest';
import { type Extent, isQcow2Error, type LostRange, type Qcow2Image } from '../../src/index.js';

/** The bytes of a disk, zeros where they are lost, and the lost ranges. */
export interface Salvaged {
  readonly bytes: Uint8Array;
  readonly lost: readonly LostRange[];
}

/** Reads each `unit` bytes by themselves. Neighbours that are refused for the same reason are one range. */
export async function scan(image: Qcow2Image, unit: number): Promise<Salvaged> {
  const bytes = new Uint8Array(image.size);
  const lost: LostRange[] = [];
  for (let at = 0; at < image.size; at += unit) {
    const length = Math.min(unit, image.size - at);
    try {
      bytes.set(await image.read(at, length), at);
    } catch (error) {
      if (!isQcow2Error(error, 'corrupt', 'io')) throw error;
      const what = error.details.what?.replace(/ [0-9]+$/, '');
      const { layer } = error.details;
      const last = lost.at(-1);
      const joins = last?.code === error.code && last.what === what && last.layer === layer;
      if (joins && last.start + last.length === at) lost[lost.length - 1] = { ...last, length: last.length + length };
      else {
        const { code, message } = error;
        lost.push({ start: at, length, code, message, ...(what && { what }), ...(layer && { layer }) });
      }
    }
  }
  return { bytes, lost };
}

/** Reads the disk as a stream, and checks at each chunk that what was lost before it has been reported, in order. */
export async function stream(image: Qcow2Image, byob: boolean): Promise<Salvaged> {
  const bytes = new Uint8Array(image.size);
  const lost: LostRange[] = [];
  const readable = image.readable(undefined, { salvage: true, onLost: (range) => lost.push(range) });
  const reported: { until: number; count: number }[] = [];
  let at = 0;
  for await (const chunk of byob ? byobChunks(readable) : readable) {
    bytes.set(chunk, at);
    at += chunk.length;
    reported.push({ until: at, count: lost.length });
  }
  expect(at).toBe(image.size);
  for (const { until, count } of reported) {
    const before = lost.filter(({ start, length }) => start + length < until || until === image.size);
    expect(count, `reports up to ${until}`).toBeGreaterThanOrEqual(before.length);
  }
  return { bytes, lost };
}

async function* byobChunks(readable: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Uint8Array> {
  const reader = readable.getReader({ mode: 'byob' });
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(256 * 1024));
    if (done) return;
    yield value;
  }
}

/** The map of a disk with salvage, without gaps, and the ranges that it reports as lost. */
export async function map(image: Qcow2Image): Promise<{ extents: readonly Extent[]; lost: readonly LostRange[] }> {
  const extents: Extent[] = [];
  const lost: LostRange[] = [];
  let end = 0;
  for await (const extent of image.map(undefined, { salvage: true, onLost: (range) => lost.push(range) })) {
    if (extent.start !== end || extent.length <= 0) throw new Error(`${JSON.stringify(extent)} follows byte ${end}`);
    end += extent.length;
    extents.push(extent);
  }
  expect(end).toBe(image.size);
  return { extents, lost };
}

/** Ranges as places, neighbours joined whatever the reason. */
export function places(ranges: readonly { start: number; length: number }[]): { start: number; length: number }[] {
  const joined: { start: number; length: number }[] = [];
  for (const { start, length } of ranges) {
    const last = joined.at(-1);
    if (last !== undefined && last.start + last.length === start) last.length += length;
    else joined.push({ start, length });
  }
  return joined;
}
