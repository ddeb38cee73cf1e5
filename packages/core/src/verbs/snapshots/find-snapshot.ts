/** Finds the snapshot that a caller means. */
import type { SnapshotReference } from '../../api/snapshot-reference.js';
import { Qcow2Error } from '../../errors.js';
import { decodeName } from '../../format/names.js';
import type { Snapshot } from '../../format/snapshots.js';

/**
 * The index of the snapshot that `which` refers to: a string is compared with the ids and with the names. Of several
 * with one id, which only a damaged image has, it is the first.
 *
 * @throws {@link Qcow2Error} `not-found`; `ambiguous` when it fits several.
 */
export function findSnapshot(snapshots: readonly Snapshot[], which: SnapshotReference): number {
  const { id, name } = typeof which === 'string' ? { id: which, name: which } : which;
  const byId = id === undefined ? -1 : snapshots.findIndex((snapshot) => decodeName(snapshot.id) === id);
  const fits = snapshots.flatMap((snapshot, index) =>
    index === byId || (name !== undefined && decodeName(snapshot.name) === name) ? [index] : [],
  );
  if (fits.length === 1) return fits[0]!;
  const wanted = id === undefined ? `the name "${name}"` : `the id ${name === undefined ? '' : 'or the name '}"${id}"`;
  const details = { what: 'snapshot', name: (id ?? name)! };
  if (fits.length === 0) throw new Qcow2Error('not-found', `The image has no snapshot with ${wanted}.`, details);
  const ids = fits.map((index) => `"${decodeName(snapshots[index]!.id)}"`).join(', ');
  throw new Qcow2Error('ambiguous', `Several snapshots have ${wanted}: those with the ids ${ids}.`, details);
}
