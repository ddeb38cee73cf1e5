/** The flags of a persistent bitmap (spec: "Bitmap directory"). */

/** Bits of an entry's flags. */
export const BITMAP_FLAG = { inUse: 0, auto: 1, extraDataCompatible: 2 } as const;
