/** Owns the other ways to read a damaged disk: as a stream, by its holes, and as each snapshot. */
import { expect } from 'vitest';
import { isQcow2Error } from '../../src/errors.js';
import type { Qcow2Image } from '../../src/index.js';

/** Throws on what is no answer to damage; an error says which structure, and where. */
export function expectDamage(error: unknown, messages: string[]): void {
  if (!isQcow2Error(error)) throw error;
  expect(['corrupt', 'unsupported', 'reference-refused'], error.message).toContain(error.code);
  if (error.code === 'corrupt') {
    expect(error.details, error.message).toMatchObject({ what: expect.any(String), at: expect.any(Number) });
  }
  messages.push(error.message);
}

/** Reads the start of the disk as a stream: the same bytes as `read`, which is null when reading fails. */
export async function streamStart(image: Qcow2Image, read: Uint8Array | null, length: number): Promise<void> {
  const bytes = new Uint8Array(length);
  let at = 0;
  try {
    for await (const chunk of image.readable({ start: 0, length })) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
  } catch (error) {
    expectDamage(error, []);
    expect(read, 'what cannot be streamed cannot be read').toBeNull();
    return;
  }
  expect(at, 'the stream is as long as asked').toBe(length);
  if (read !== null) expect(Buffer.compare(bytes, read), 'a stream gives what a read gives').toBe(0);
}

/** Looks for data and for holes, from the start and from the middle on. */
export async function seek(image: Qcow2Image, messages: string[]): Promise<void> {
  for (const from of [0, Math.floor(image.size / 2)]) {
    for (const search of ['seekData', 'seekHole'] as const) {
      try {
        const found = await image[search](from);
        if (found === undefined) continue;
        expect(found).toBeGreaterThanOrEqual(from);
        expect(found).toBeLessThanOrEqual(image.size);
      } catch (error) {
        expectDamage(error, messages);
      }
    }
  }
}
