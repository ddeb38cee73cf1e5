/** Checks the options of a new image: each option by itself, then those that exclude each other, as in qemu-img. */

import type { CreateOptions } from '../../api/options.js';
import { type Kinds, requireKind, requireOptions, requireWhole, shown } from '../../arguments.js';
import { requireOneOf, requirePowerOfTwo } from '../../choices.js';
import type { ImagePlan } from '../../format/layout.js';
import { MAX_CLUSTER_BITS, MIN_CLUSTER_BITS, MIN_EXTENDED_CLUSTER_BITS } from '../../format/limits.js';

const SECTOR = 512;
const DEFAULT_CLUSTER_SIZE = 64 * 1024;

const KINDS: Kinds = {
  lazyRefcounts: 'a boolean',
  extendedL2: 'a boolean',
  backingFile: 'a string',
  backingFormat: 'a string',
  dataFile: 'a string',
  dataFileRaw: 'a boolean',
  overwrite: 'a boolean',
};

/**
 * The plan that these options describe.
 *
 * @throws TypeError for an option of the wrong type, and for options that exclude each other; RangeError for an invalid
 *   value.
 */
export function planOf(options: CreateOptions): ImagePlan {
  requireKind('options', options, 'an object');
  requireOptions(options, KINDS);
  const {
    version = 3,
    clusterSize = DEFAULT_CLUSTER_SIZE,
    refcountBits = 16,
    lazyRefcounts = false,
    extendedL2 = false,
    dataFileRaw = false,
    compressionType = 'zlib',
    preallocation = 'off',
    dataFile,
    backingFile,
    backingFormat,
  } = options;
  requireOneOf('version', version, [2, 3], RangeError);
  requireOneOf('compressionType', compressionType, ['zlib', 'zstd'], RangeError);
  requireOneOf('preallocation', preallocation, ['off', 'metadata'], RangeError);
  const plan: ImagePlan = {
    size: requireSize(options.size),
    version,
    clusterBits: requirePowerOfTwo('clusterSize', clusterSize, MIN_CLUSTER_BITS, MAX_CLUSTER_BITS),
    refcountOrder: requirePowerOfTwo('refcountBits', refcountBits, 0, 6),
    lazyRefcounts,
    zstd: compressionType === 'zstd',
    extendedL2,
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

/** The size of a disk in whole sectors. Throws RangeError for anything but a whole number of bytes. */
export function requireSize(size: number): number {
  requireWhole('size', size);
  const rounded = Math.ceil(size / SECTOR) * SECTOR;
  if (!Number.isSafeInteger(rounded)) throw new RangeError(`A size of ${size} bytes is too large.`);
  return rounded;
}

/** NUL, where a name ends, and lone surrogates, which UTF-8 does not have. */
const FORBIDDEN_CHARACTERS = /[\0\p{Cs}]/u;

/**
 * A name that an image can store. Throws for an empty one and for unfit characters: it would be read back as another.
 */
function requireName(what: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (value === '' || FORBIDDEN_CHARACTERS.test(value)) {
    throw new RangeError(
      `${what} must be a name of at least one character, without NUL and lone surrogates, not ${shown(value)}.`,
    );
  }
  return value;
}
