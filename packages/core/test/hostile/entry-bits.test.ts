/**
 * Every bit of the entries of every table, flipped: what `check` calls corrupt is refused before it is written to. A
 * writer that was told not to count first refuses it as well, or destroys nothing, but for what only a count of all
 * references can tell: entries that are well formed and lead to another cluster of the file, and refcounts of clusters
 * that hold no metadata (`needsCount`).
 */
import { describe, expect, it } from 'vitest';
import {
  type Damage,
  damages,
  faultsOf,
  flipped,
  openedToWrite,
  type Subject,
  subjects,
  writeSession,
} from './damaged-entries.js';

/** Every bit takes minutes; by default one in five is flipped, of each entry others. */
const EVERY = process.env.QCOW2_ENTRY_BITS === 'all' ? 1 : 5;

/** Orders in which the clusters of a disk are written. */
const ORDERS: readonly ((clusters: number) => readonly number[])[] = [
  (clusters) => Array.from({ length: clusters }, (_, index) => index),
  (clusters) => Array.from({ length: clusters >> 1 }, (_, index) => 2 * index + 1),
  (clusters) => Array.from({ length: clusters }, (_, index) => clusters - 1 - index),
];

const clusterBitsOf = ({ bytes }: Subject): number => bytes[23]!;

/** The incompatible bit of an external data file is bit 2. */
const hasDataFile = ({ bytes }: Subject): boolean => (bytes[79]! & 4) !== 0;

function needsCount(subject: Subject, { target, bit }: Damage): boolean {
  if (target.what === 'refcount block') return true;
  // From the least significant bit on, in the 64-bit word that the bit lies in.
  const place = 63 - (bit % 64);
  const entry = bit < 64;
  if (!entry) return false;
  const compressed = target.what === 'L2' && (place === 62 || (subject.bytes[target.at]! & 0x40) !== 0);
  return compressed || (place >= clusterBitsOf(subject) && 2 ** place < subject.bytes.length);
}

/** The damages of a subject that are tried and that check calls corrupt. */
async function* corruptions(subject: Subject): AsyncGenerator<{ damage: Damage; bytes: Uint8Array; where: string }> {
  let step = 0;
  for (const damage of damages(subject)) {
    if (step++ % EVERY > 0) continue;
    const bytes = flipped(subject.bytes, damage);
    const faults = await faultsOf(bytes);
    if (faults.length === 0) continue;
    yield { damage, bytes, where: `${damage.target.what} at ${damage.target.at}, bit ${damage.bit}: ${faults.join()}` };
  }
}

describe.each(subjects().map((subject): [string, Subject] => [subject.name, subject]))('%s', (_, subject) => {
  it('is not opened for writing with a flipped bit that check reports as corrupt', { timeout: 600_000 }, async () => {
    let corrupt = 0;
    for await (const { bytes, where } of corruptions(subject)) {
      corrupt++;
      // Where COPIED alone is missing a write copies what it need not, unless it says what a data file contains.
      const isSlower = !hasDataFile(subject) && /: copied-missing(,copied-missing)*$/.test(where);
      expect(await openedToWrite(subject, bytes), where).toBe(isSlower);
    }
    expect(corrupt).toBeGreaterThan(100 / EVERY);
  });

  it('is refused without verification, or a write destroys nothing, with a flipped bit', {
    timeout: 600_000,
  }, async () => {
    let corrupt = 0;
    let refused = 0;
    for await (const { damage, bytes, where } of corruptions(subject)) {
      corrupt++;
      const session = await writeSession(subject, bytes, ORDERS[damage.bit % ORDERS.length]!, false);
      if (session.refused) refused++;
      if (!needsCount(subject, damage)) expect(session.destroyed, where).toEqual([]);
    }
    expect(corrupt).toBeGreaterThan(100 / EVERY);
    expect(refused).toBeGreaterThan(corrupt / 4);
  });
});
