/**
 * Maps each L2 table in memory to its host offset, which only errors need. It is a WeakMap because every read goes
 * through the tables' views: a property on them would change their shape and slow reads down.
 */

const offsets = new WeakMap<DataView, number>();

/** Stores the host offset `at` of the table, in bytes. */
export function setTableOffset(table: DataView, at: number): void {
  offsets.set(table, at);
}

/** The host offset of the table; 0 for one that was not stored yet. */
export function tableOffset(table: DataView): number {
  return offsets.get(table) ?? 0;
}
