/** Arranges several files as one chain: finds the image to open, and the file for each name. */
import { type ImageInfo, type ImageReference, isQcow2Error } from 'qcow2';
import { baseName, namedFile } from 'qcow2-opfs';

/** A dropped file, and the names of the files it needs; null when it is not a qcow2 image. */
export interface DroppedFile {
  readonly file: File;
  readonly needs: readonly string[] | null;
}

/** The image to open, and the files that no image of the chain names. */
export interface Arrangement {
  readonly leaf: File;
  readonly unused: readonly File[];
}

/** The files that an image itself names, backing file first. */
export function namesIn(info: ImageInfo): string[] {
  return [info.backingFile, info.dataFile].filter((name) => name !== undefined);
}

/** The files that the images of a chain name, as far as the chain is open. */
export function namedInChain(info: ImageInfo): string[] {
  return info.chain.flatMap(({ name, dataFile }) => [name, dataFile?.name]).filter((name) => name !== undefined);
}

/**
 * The page's label for a file that an image names: its own name, or the whole name where that describes more than a
 * file.
 */
export function shortName(name: string): string {
  try {
    return baseName(name);
  } catch (error) {
    if (isQcow2Error(error, 'unsupported')) return name;
    throw error;
  }
}

/** True if a file has the name's last component, in any Unicode form. */
export function hasName(file: File, name: string): boolean {
  return file.name.normalize('NFC') === shortName(name).normalize('NFC');
}

/** Chooses the image that no other one names; of several such, the first. Files that no image names are `unused`. */
export function arrange(members: readonly DroppedFile[]): Arrangement {
  const isNamed = (file: File): boolean =>
    members.some((other) => other.file !== file && other.needs?.some((name) => hasName(file, name)));
  const images = members.filter((member) => member.needs !== null);
  const leaf = images.find((member) => !isNamed(member.file)) ?? images[0] ?? members[0];
  if (leaf === undefined) throw new RangeError('There is no file to arrange.');
  const used = new Set<File>();
  const walk = (member: DroppedFile): void => {
    if (used.has(member.file)) return;
    used.add(member.file);
    for (const other of members) {
      if (member.needs?.some((name) => hasName(other.file, name))) walk(other);
    }
  };
  walk(leaf);
  return { leaf: leaf.file, unused: members.map((member) => member.file).filter((file) => !used.has(file)) };
}

/** A file that the chain needs and that is not available. */
export interface Missing {
  readonly kind: 'backing' | 'data';
  /** As written in the image; undefined where the image needs a file without naming it. */
  readonly name: string | undefined;
  /** The file that names it. */
  readonly neededBy: string;
}

/** The files that the chain of an open image still needs. */
export function missingFrom(info: ImageInfo, leafName: string): Missing[] {
  const missing: Missing[] = [];
  let above = leafName;
  for (const layer of info.chain) {
    const here = layer.name === undefined ? leafName : shortName(layer.name);
    if (layer.missing) missing.push({ kind: 'backing', name: layer.name, neededBy: above });
    if (layer.dataFile?.missing) missing.push({ kind: 'data', name: layer.dataFile.name, neededBy: here });
    above = here;
  }
  return missing;
}

/** A file for a reference, with its format where the reference's name contains one. */
type ResolvedFile = File | { source: File; format: 'raw' | 'qcow2' };

/** The available files, by the names they match. */
export class FileSet {
  readonly files: readonly File[];
  readonly #chosen: ReadonlyMap<string, File>;

  /** `chosen` are files that the user chose for a name, whatever their own names are. */
  constructor(files: readonly File[], chosen: ReadonlyMap<string, File> = new Map()) {
    this.files = files;
    this.#chosen = chosen;
  }

  /** This set and more files. */
  with(files: readonly File[]): FileSet {
    return new FileSet([...this.files, ...files], this.#chosen);
  }

  /** This set, with a file for a name as written in an image. */
  choosing(name: string, file: File): FileSet {
    return new FileSet([...this.files, file], new Map([...this.#chosen, [name, file]]));
  }

  /** The file for a name in an image of the chain that begins with `leaf`. Never the leaf itself. */
  find(name: string, leaf: { readonly name: string }): File | undefined {
    return this.#chosen.get(name) ?? this.files.find((file) => file !== leaf && hasName(file, name));
  }

  /**
   * Resolves a reference of the chain that begins with `leaf`.
   *
   * @throws Qcow2Error `unsupported` for a description with an unsupported option, also when a file was chosen for it
   */
  resolve(
    { name, format }: Pick<ImageReference, 'name' | 'format'>,
    leaf: { readonly name: string },
  ): ResolvedFile | undefined {
    const described = namedFile(name).format;
    const source = this.find(name, leaf);
    // A format given in the image takes precedence over one in the name.
    return source && format === undefined && described !== undefined ? { source, format: described } : source;
  }
}
