/** Validates and normalises the names of stored images. */
import { isQcow2Error } from 'qcow2';
import { refuse } from 'qcow2/internal';
import { type NamedFile, namedFile } from './base-name.js';

/** The length that every platform's file system supports. Bytes of UTF-8. */
const MAX_NAME_BYTES = 200;
/** Control characters, and lone surrogates, which no file system stores unchanged. */
const FORBIDDEN_CHARACTERS = /[\p{Cc}\p{Cs}]/u;

/**
 * Validates a name and normalises it (NFC), so that the same letters are the same name. `argument` is what errors call
 * it.
 *
 * @throws TypeError when it is not a string, RangeError when it is invalid
 */
export function imageName(name: unknown, argument = 'name'): string {
  if (typeof name !== 'string') refuse(argument, 'a string', name);
  const fault = faultOf(name);
  if (fault) throw new RangeError(`An image cannot be named ${JSON.stringify(name)}: ${fault}.`);
  return name.normalize('NFC');
}

/** The {@link namedFile} of a backing file's name, normalised; null when it cannot be a stored image. */
export function storedFile(path: string): NamedFile | null {
  try {
    const file = namedFile(path);
    return faultOf(file.name) === null ? { ...file, name: file.name.normalize('NFC') } : null;
  } catch (error) {
    // An unsupported description never refers to a stored image.
    if (isQcow2Error(error, 'unsupported')) return null;
    throw error;
  }
}

/** True if a file in a store's folder is an image. A leading dot marks the package's own files. */
export function isImageName(name: string): boolean {
  return faultOf(name) === null;
}

function faultOf(name: string): string | null {
  if (name === '') return 'a name has at least one character';
  if (name.startsWith('.')) return 'names with a leading dot are those of temporary files';
  // Chromium refuses a backslash, on every system.
  if (/[\\/]/.test(name)) return 'a store has no folders, so a name has no "/" and no "\\"';
  // Must come before normalising: Firefox replaces lone surrogates by other characters.
  if (FORBIDDEN_CHARACTERS.test(name)) return 'it has a control character or a lone surrogate';
  const { length } = new TextEncoder().encode(name.normalize('NFC'));
  return length > MAX_NAME_BYTES ? `it is ${length} bytes of UTF-8; the maximum is ${MAX_NAME_BYTES}` : null;
}
