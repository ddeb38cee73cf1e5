/** Owns the reading of the name that an image has for its backing file. */

/**
 * The file's own name in the name of a backing or data file as images write it: the last component of a path of either kind, of a
 * URL, of `file:` and a path, or of the file in a `json:` description. It may be no name that an image of a store can have.
 */
export function baseName(name: string): string {
  const plain = name.startsWith('json:') ? (fileNameIn(name.slice('json:'.length)) ?? name) : name;
  return plain.replace(/^.*[\\/]/s, '').replace(/^file:/, '');
}

function fileNameIn(json: string): string | undefined {
  try {
    return findFileName(JSON.parse(json));
  } catch {
    return undefined; // not JSON after all: then it is a name as it stands
  }
}

function findFileName(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    if (/(^|\.)filename$/.test(key) && typeof inner === 'string') return inner;
    const found = findFileName(inner);
    if (found !== undefined) return found;
  }
  return undefined;
}
