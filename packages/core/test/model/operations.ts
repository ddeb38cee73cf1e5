/** Owns the operations that the model tests draw at random, and what each does to a plain array. */
import fc from 'fast-check';
import { noiseOf } from '../support/numbers.js';
import type { Kind } from './kinds.js';

/** A request, as fast-check draws it; places and lengths are made of it by {@link placed}. */
export interface Drawn {
  readonly what: 'write' | 'zero' | 'zero-unmap' | 'discard' | 'read' | 'flush' | 'map' | 'seek';
  /** Which cluster of the disk, as a share of 2^16. */
  readonly where: number;
  /** How the ends lie beside the borders of units. */
  readonly before: number;
  readonly after: number;
  /** How many units. */
  readonly units: number;
  readonly seed: number;
}

/** A change of the disk's size, as fast-check draws it, and the requests that are started meanwhile. */
export interface DrawnResize {
  readonly kind: 'resize';
  readonly how: 'cluster' | 'clusters' | 'share' | 'back' | 'nothing';
  /** Of a disk twice as long as the first one, in 2^16; or how many sectors or clusters, shorter when negative. */
  readonly share: number;
  readonly by: number;
  readonly requests: readonly Drawn[];
  readonly order: number;
  readonly close: boolean;
}

/** A verb that gives space back, as fast-check draws it, and the requests that are started meanwhile. */
export interface DrawnRelease {
  readonly kind: 'release';
  readonly verb: 'compact' | 'sparsify';
  readonly requests: readonly Drawn[];
  readonly order: number;
  /** It is awaited, aborted after some reports of progress, or the image is closed meanwhile. */
  readonly end: 'wait' | 'abort' | 'close';
  readonly reports: number;
}

/** A verb of snapshots, as fast-check draws it. */
export interface DrawnSnapshot {
  readonly kind: 'snapshot';
  readonly verb: 'create' | 'apply' | 'delete' | 'rename';
  /** Which snapshot, as a share of 2^16. */
  readonly which: number;
}

/**
 * What happens next: one request awaited, some together, the image reopened, or closed with requests under way, the
 * disk resized, space given back, or snapshots changed.
 */
export type Step =
  | { readonly kind: 'one'; readonly request: Drawn }
  | { readonly kind: 'together'; readonly requests: readonly Drawn[]; readonly order: number; readonly close: boolean }
  | { readonly kind: 'reopen' }
  | DrawnResize
  | DrawnRelease
  | DrawnSnapshot;

/** A request of a certain disk. */
export interface Request {
  readonly what: Drawn['what'];
  readonly offset: number;
  readonly length: number;
  /** What a write writes. */
  readonly bytes: Uint8Array<ArrayBuffer> | null;
}

const nudge = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.constantFrom(-1, 1, -512, 512) },
  { weight: 2, arbitrary: fc.integer({ min: -4096, max: 4096 }) },
);

const request: fc.Arbitrary<Drawn> = fc.record({
  what: fc.oneof(
    { weight: 9, arbitrary: fc.constant('write' as const) },
    { weight: 2, arbitrary: fc.constant('zero' as const) },
    { weight: 2, arbitrary: fc.constant('zero-unmap' as const) },
    { weight: 3, arbitrary: fc.constant('discard' as const) },
    { weight: 4, arbitrary: fc.constant('read' as const) },
    { weight: 2, arbitrary: fc.constant('flush' as const) },
    { weight: 1, arbitrary: fc.constantFrom('map' as const, 'seek' as const) },
  ),
  where: fc.nat(65_535),
  before: nudge,
  after: nudge,
  units: fc.oneof(
    { weight: 4, arbitrary: fc.nat(2) },
    { weight: 2, arbitrary: fc.nat(9) },
    { weight: 1, arbitrary: fc.nat(150) },
  ),
  seed: fc.nat(1_000_000),
});

const seldom = fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });

const resize: fc.Arbitrary<DrawnResize> = fc.record({
  kind: fc.constant('resize' as const),
  how: fc.constantFrom('cluster', 'clusters', 'share', 'share', 'back', 'nothing'),
  share: fc.nat(65_535),
  by: fc.integer({ min: -9, max: 9 }),
  requests: fc.array(request, { maxLength: 5 }),
  order: fc.nat(1000),
  close: seldom,
});

const release: fc.Arbitrary<DrawnRelease> = fc.record({
  kind: fc.constant('release' as const),
  verb: fc.constantFrom('compact', 'compact', 'sparsify'),
  requests: fc.array(request, { maxLength: 5 }),
  order: fc.nat(1000),
  end: fc.constantFrom('wait', 'wait', 'wait', 'abort', 'close'),
  reports: fc.nat(5),
});

const snapshot: fc.Arbitrary<DrawnSnapshot> = fc.record({
  kind: fc.constant('snapshot' as const),
  verb: fc.constantFrom('create', 'create', 'create', 'apply', 'delete', 'delete', 'rename'),
  which: fc.nat(65_535),
});

/** The steps of one run. */
export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: fc.record({ kind: fc.constant('one' as const), request }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('together' as const),
        requests: fc.array(request, { minLength: 2, maxLength: 6 }),
        order: fc.nat(1000),
        close: seldom,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
    { weight: 2, arbitrary: resize },
    { weight: 2, arbitrary: release },
    { weight: 2, arbitrary: snapshot },
  ),
  { minLength: 25, maxLength: 50, size: 'max' },
);

const SECTOR = 512;

/** The size that a disk of `now` bytes gets. */
export function sizeAfter({ size, clusterSize }: Kind, now: number, { how, share, by }: DrawnResize): number {
  const inSectors = (bytes: number): number => Math.max(0, Math.floor(bytes / SECTOR)) * SECTOR;
  switch (how) {
    case 'cluster':
      return inSectors(now + by * SECTOR);
    case 'clusters':
      return inSectors(now + by * clusterSize);
    case 'share':
      return inSectors((share / 65_536) * 2.2 * size);
    case 'back':
      return size;
    case 'nothing':
      return 0;
  }
}

/** Places a drawn request on a disk of `size` bytes, which is not 0. */
export function placed({ unit }: Kind, size: number, { what, where, before, after, units, seed }: Drawn): Request {
  const units0 = Math.ceil(size / unit);
  const start = Math.floor((where / 65_536) * units0) * unit + before;
  const offset = Math.min(Math.max(0, start), size - 1);
  // At most a megabyte and a half of a request, however large the units are.
  const wanted = Math.min(units * unit, Math.max(unit * 2, 1_500_000)) + after;
  const length = Math.min(Math.max(1, wanted), size - offset);
  return { what, offset, length, bytes: what === 'write' ? noiseOf(seed, length) : null };
}

/** Does to the plain array what the request does to the disk. */
export function applyTo(disk: Uint8Array, { discards }: Kind, { what, offset, length, bytes }: Request): void {
  if (bytes !== null) disk.set(bytes, offset);
  else if (what === 'zero' || what === 'zero-unmap' || (what === 'discard' && discards)) {
    disk.fill(0, offset, offset + length);
  }
}

/**
 * The requests that may be started together: zeroing across the reach of an L2 table lets others in between, so it may
 * not be beside what overlaps it.
 */
export function compatible(requests: readonly Request[], { clusterSize, options }: Kind): Request[] {
  const reach = (clusterSize * clusterSize) / (options.includes('extended_l2') ? 16 : 8);
  const inParts = ({ what, offset, length }: Request) =>
    ['zero', 'zero-unmap', 'discard'].includes(what) &&
    Math.floor(offset / reach) !== Math.floor((offset + length - 1) / reach);
  const overlap = (a: Request, b: Request) => a.offset < b.offset + b.length && b.offset < a.offset + a.length;
  return requests.filter(
    (one, index) =>
      !requests.some((other, at) => at < index && overlap(one, other) && (inParts(one) || inParts(other))),
  );
}
