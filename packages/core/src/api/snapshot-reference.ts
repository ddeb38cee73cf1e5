/** How a caller refers to an internal snapshot. */

/**
 * An internal snapshot of an image. A string is an id or a name: it is refused when one snapshot has it as its id and
 * another as its name, or several have it as their name.
 */
export type SnapshotReference =
  | string
  | { readonly id: string; readonly name?: undefined }
  | { readonly name: string; readonly id?: undefined };
