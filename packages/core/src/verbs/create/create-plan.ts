/** Checks the options of a new image: each option by itself, then those that exclude each other, as in qemu-img. */

import type { CreateOptions } from '../../api/options.js';
import type { ImagePlan } from '../../format/layout.js';
import { MAX_CLUSTER_BITS, MIN_CLUSTER_BITS, MIN_EXTENDED_CLUSTER_BITS } from '../../format/limits.js';

const SECTOR = 512;
const DEFAULT_CLUSTER_SIZE = 64 * 1024;

/**
 * The plan that these options describe.
 *
 * @throws RangeError for an invalid value; TypeError for options that exclude each other.
 */
export function planOf(options: CreateOptions): ImagePlan {
  const {
    version = 3,
    compressionType = 'zlib',
    preallocation = 'off',
    dataFile,
    backingFile,
    backingFormat,
  } = options;
  if (version !== 2 && version !== 3) throw new RangeError(`The version must be 2 or 3, not ${version}.`);
  requireOneOf('compressionType', compressionType, ['zlib', 'zstd']);
  requireOneOf('preallocation', preallocation, ['off', 'metadata']);
  const dataFileRaw = options.dataFileRaw ?? false;
  const plan: ImagePlan = {
    size: requireSize(options.size),
    version,
    clusterBits: requirePowerOfTwo(
      'clusterSize',
      options.clusterSize ?? DEFAULT_CLUSTER_SIZE,
      MIN_CLUSTER_BITS,
      MAX_CLUSTER_BITS,
    ),
    refcountOrder: requirePowerOfTwo('refcountBits', options.refcountBits ?? 16, 0, 6),
    lazyRefcounts: options.lazyRefcounts ?? false,
    zstd: compressionType === 'zstd',
    extendedL2: options.extendedL2 ?? false,
    // A raw data file can be read without the metadata, which must map it all the same: all of them are allocated.
    preallocated: preallocation === 'metadata' || dataFileRaw,
    backingFile: requireName('backingFile', backingFile),
    backingFormat: requireName('backingFormat', backingFormat),
    dataFile: requireName('dataFile', dataFile),
    dataFileRaw,
  };
  refuseExclusions(plan);
  return plan;
}

/** In the order, and for the reasons, of qemu-img. */
function refuseExclusions(plan: ImagePlan): void {
  if (plan.version === 2) {
    if (plan.dataFile !== undefined) needsVersion3('dataFile');
    if (plan.lazyRefcounts) needsVersion3('lazyRefcounts');
    if (plan.refcountOrder !== 4) needsVersion3('refcountBits other than 16');
    if (plan.extendedL2) needsVersion3('extendedL2');
    if (plan.zstd) needsVersion3('compressionType "zstd"');
  }
  if (plan.extendedL2 && plan.clusterBits < MIN_EXTENDED_CLUSTER_BITS) {
    throw new TypeError('extendedL2 needs a clusterSize of at least 16384 bytes.');
  }
  if (plan.dataFileRaw && plan.dataFile === undefined) throw new TypeError('dataFileRaw needs a dataFile.');
  if (plan.dataFileRaw && plan.backingFile !== undefined) {
    throw new TypeError('backingFile and dataFileRaw exclude each other.');
  }
  if (plan.preallocated && plan.backingFile !== undefined && !plan.extendedL2) {
    throw new TypeError('backingFile and preallocation exclude each other, unless extendedL2 is on.');
  }
  if (plan.backingFormat !== undefined && plan.backingFile === undefined) {
    throw new TypeError('backingFormat needs a backingFile.');
  }
  if (plan.backingFile !== undefined && plan.backingFormat === undefined) {
    throw new TypeError('backingFile needs a backingFormat: an image without one would have its base probed.');
  }
}

function needsVersion3(what: string): never {
  throw new TypeError(`${what} needs version 3.`);
}

export function requireSize(size: number): number {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new RangeError(`The size must be a whole number of bytes from 0 on, not ${size}.`);
  }
  const rounded = Math.ceil(size / SECTOR) * SECTOR;
  if (!Number.isSafeInteger(rounded)) throw new RangeError(`A size of ${size} bytes is too large.`);
  return rounded;
}

/** The exponent of a power of two within bounds. */
function requirePowerOfTwo(what: string, value: number, min: number, max: number): number {
  const exponent = Math.log2(value);
  if (Number.isInteger(exponent) && exponent >= min && exponent <= max) return exponent;
  throw new RangeError(`${what} must be a power of two from ${2 ** min} to ${2 ** max}, not ${value}.`);
}

function requireOneOf(what: string, value: string, known: readonly string[]): void {
  if (!known.includes(value)) throw new RangeError(`${what} must be one of ${known.join(', ')}, not ${value}.`);
}

/** NUL, where a name ends, and lone surrogates, which UTF-8 does not have. */
const FORBIDDEN_CHARACTERS = /[\0\p{Cs}]/u;

/**
 * A name that an image can store. Throws for an empty one and for unfit characters: it would be read back as another.
 */
function requireName(what: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '' || FORBIDDEN_CHARACTERS.test(value)) {
    throw new RangeError(`${what} must be a name of at least one character, without NUL and lone surrogates.`);
  }
  return value;
}
