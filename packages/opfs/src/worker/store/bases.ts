/** Computes which image of a store is based on which. */

/** For each image, the image of the same store that it is based on, or null. */
export type Bases = ReadonlyMap<string, string | null>;

/**
 * The images that are directly based on `name`, sorted. An image with a circular chain cannot be read and needs no
 * base. If it counted, the images of a circle could never be removed.
 */
export function overlaysOf(name: string, bases: Bases): string[] {
  return [...bases.keys()].filter((overlay) => bases.get(overlay) === name && !hasCircularChain(overlay, bases)).sort();
}

/**
 * True if a file with the backing file `base` must not have the name `name`, because its chain would be circular.
 * `named` returns the backing file's name of an image, whether that file exists or not. Throws what `named` throws.
 */
export async function isBasedOn(
  base: string | null,
  name: string,
  named: (image: string) => Promise<string | null>,
): Promise<boolean> {
  const seen = new Set<string>();
  for (let at = base; at !== null && !seen.has(at); at = await named(at)) {
    if (at === name) return true;
    seen.add(at);
  }
  return false;
}

function hasCircularChain(name: string, bases: Bases): boolean {
  const seen = new Set<string>();
  for (let at: string | null = name; at !== null; at = bases.get(at) ?? null) {
    if (seen.has(at)) return true;
    seen.add(at);
  }
  return false;
}
