/**
 * Owns the knowledge where each L2 table in memory lies in its file, which only errors need. It is kept beside the
 * tables, since every read goes through their views and a view of another shape would cost it time.
 */

const places = new WeakMap<DataView, number>();

/** Notes that the table lies at the host offset `at`, in bytes. */
export function setTablePlace(table: DataView, at: number): void {
  places.set(table, at);
}

/** The host offset of the table; 0 for one that has no place yet. */
export function tablePlace(table: DataView): number {
  return places.get(table) ?? 0;
}
