/** Which image of a store is based on which. */

/** For each image, the image of the same store that it is based on, or null. */
export type Bases = ReadonlyMap<string, string | null>;

/**
 * The images that are directly based on `name`, sorted. One whose chain leads in a circle cannot be read and needs no
 * base: otherwise the images of a circle would protect each other for ever.
 */
export function overlaysOf(name: string, bases: Bases): string[] {
  return [...bases.keys()].filter((overlay) => bases.get(overlay) === name && !isInCircle(overlay, bases)).sort();
}

/**
 * Whether a file that names `base` as its own may not have the name `name`: its chain would lead back to it. `named`
 * gives, for an image, the name of its backing file, whether there is one of that name or not. Throws what `named`
 * throws.
 */
export async function leadsTo(
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

function isInCircle(name: string, bases: Bases): boolean {
  const seen = new Set<string>();
  for (let at: string | null = name; at !== null; at = bases.get(at) ?? null) {
    if (seen.has(at)) return true;
    seen.add(at);
  }
  return false;
}
