/** Owns the numbers that only look random: the same on every machine, for a given seed. */

/** Deterministic 32-bit numbers (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const NOISE_BYTES = 1024 * 1024;
const noise = ((): Uint8Array<ArrayBuffer> => {
  const next = numbers(1);
  const words = Uint32Array.from({ length: NOISE_BYTES / 4 }, () => next() | 0x0101_0101); // no byte of it is zero
  return new Uint8Array(words.buffer);
})();

/** `length` bytes, none of them zero, that differ from seed to seed and from place to place. */
export function noiseOf(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const from = (seed * 7919 + done) % NOISE_BYTES;
    const part = noise.subarray(from, from + length - done);
    bytes.set(part, done);
    done += part.length;
  }
  return bytes;
}

/** A disk of `length` bytes in runs of `unit` bytes: noise, text that compresses well, and zeros. */
export function mixedDisk(seed: number, length: number, unit: number): Uint8Array<ArrayBuffer> {
  const next = numbers(seed);
  const disk = new Uint8Array(length);
  for (let at = 0; at < length; at += unit) {
    const end = Math.min(length, at + unit);
    const kind = next() % 4;
    if (kind === 0) disk.set(noiseOf(next() % 1000, end - at), at);
    else if (kind !== 3) for (let place = at; place < end; place++) disk[place] = 97 + ((place + kind) % 11);
  }
  return disk;
}
