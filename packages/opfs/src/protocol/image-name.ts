/** Owns what a name in a store may be. */
import { isQcow2Error } from 'qcow2';
import { type NamedFile, namedFile } from './base-name.js';

/** What the platforms' file systems take at least. Bytes of UTF-8. */
const MAX_NAME_BYTES = 200;
/** Control characters, and halves of surrogate pairs, which no file system keeps as they are. */
const UNFIT = /[\p{Cc}\p{Cs}]/u;

/**
 * A name as it is stored: normalised, so that the same letters are the same name.
 *
 * @throws TypeError when it is no string, RangeError when no image can have it
 */
export function imageName(name: unknown): string {
  if (typeof name !== 'string') throw new TypeError(`The name of an image is a string, not ${typeof name}.`);
  const fault = faultOf(name);
  if (fault) throw new RangeError(`An image cannot be named ${JSON.stringify(name)}: ${fault}.`);
  return name.normalize('NFC');
}

/** The {@link namedFile} of a backing file's name, as a store has it; null when no image of a store can be meant. */
export function storedFile(path: string): NamedFile | null {
  try {
    const file = namedFile(path);
    return faultOf(file.name) === null ? { ...file, name: file.name.normalize('NFC') } : null;
  } catch (error) {
    // A description that is not honoured: no image of a store is such a file.
    if (isQcow2Error(error, 'unsupported')) return null;
    throw error;
  }
}

/** Whether a file in a store's folder is an image: what begins with a dot is the package's own. */
export function isImageName(name: string): boolean {
  return faultOf(name) === null;
}

function faultOf(name: string): string | null {
  if (name === '') return 'a name has at least one character';
  if (name.startsWith('.')) return 'names with a leading dot are those of temporary files';
  // Chromium takes no backslash, on any system.
  if (/[\\/]/.test(name)) return 'a store has no folders, so a name has no "/" and no "\\"';
  // Before it is normalised: Firefox puts other characters in the place of half ones.
  if (UNFIT.test(name)) return 'it has a control character or half of a character';
  const { length } = new TextEncoder().encode(name.normalize('NFC'));
  return length > MAX_NAME_BYTES ? `it is ${length} bytes of UTF-8, and at most ${MAX_NAME_BYTES} fit` : null;
}
