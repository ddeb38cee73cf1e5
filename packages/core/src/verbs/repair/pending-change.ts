/** Changes in two steps: new clusters are written and counted before anything leads to them. */

/** References to clusters that did not exist when the references were counted, by cluster. */
export type NewReferences = ReadonlyMap<number, number>;

/** New structures at the end of the file, to which nothing leads yet. */
export interface PendingChange {
  /** Their clusters, and how often each will be referenced. */
  readonly added: NewReferences;
  /** Lets the image lead to them. They must be counted on the medium. */
  commit(): Promise<void>;
}

/** The change of what is right as it is. */
export const NO_CHANGE: PendingChange = { added: new Map(), commit: async () => {} };

/** Each cluster of host bytes that are referenced once. */
export function referencesTo(at: number, length: number, clusterSize: number): Map<number, number> {
  const added = new Map<number, number>();
  for (let cluster = at / clusterSize; cluster * clusterSize < at + length; cluster++) added.set(cluster, 1);
  return added;
}
