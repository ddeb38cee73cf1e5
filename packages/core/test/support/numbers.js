/**
 * Makes numbers that only look random, and bytes of them: for a given seed the same on every machine. JavaScript, since
 * the scripts that make the golden images import it without a build.
 */

/**
 * Deterministic 32-bit numbers (mulberry32).
 *
 * @param {number} seed
 * @returns {() => number}
 */
export function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const NOISE_BYTES = 1024 * 1024;
const noise = (() => {
  const next = numbers(1);
  const words = Uint32Array.from({ length: NOISE_BYTES / 4 }, () => next() | 0x0101_0101); // no byte of it is zero
  return new Uint8Array(words.buffer);
})();

/**
 * `length` bytes, none of them zero, that differ from seed to seed and from place to place. They hardly shrink.
 *
 * @param {number} seed
 * @param {number} length
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function noiseOf(seed, length) {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const from = ((seed >>> 0) * 7919 + done) % NOISE_BYTES;
    const part = noise.subarray(from, from + length - done);
    bytes.set(part, done);
    done += part.length;
  }
  return bytes;
}

/**
 * `length` bytes that a deflate stream holds in about a quarter of them.
 *
 * @param {number} seed
 * @param {number} length
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function softNoiseOf(seed, length) {
  return noiseOf(seed, length).map((byte) => byte & 3);
}

/**
 * `length` bytes, the first half of them all the same, the second half noise: a cluster that shrinks when compressed,
 * and no stream like another.
 *
 * @param {number} seed
 * @param {number} length
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function halfNoiseOf(seed, length) {
  return noiseOf(seed, length).fill(seed, 0, length / 2);
}

/**
 * A disk of `length` bytes in runs of `unit` bytes: noise, text that compresses well, a text before zeros, or zeros.
 * Runs differ, but for those of zeros, so that a cluster read from the wrong place is seen.
 *
 * @param {number} seed
 * @param {number} length
 * @param {number} unit
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function mixedDisk(seed, length, unit) {
  const next = numbers(seed);
  const disk = new Uint8Array(length);
  for (let at = 0; at < length; at += unit) {
    const run = disk.subarray(at, at + unit);
    const kind = next() % 4;
    if (kind === 0) run.set(noiseOf(next(), run.length));
    else if (kind === 1) repeat(run, `run of text number ${next()}; `);
    else if (kind === 2) repeat(run.subarray(0, Math.ceil(run.length / 3)), `${next()}-`);
  }
  return disk;
}

/**
 * Fills bytes with a text, again and again.
 *
 * @param {Uint8Array} into
 * @param {string} text
 */
function repeat(into, text) {
  const letters = new TextEncoder().encode(text).subarray(0, into.length);
  into.set(letters);
  for (let done = letters.length; done < into.length; done *= 2) into.copyWithin(done, 0, done);
}
