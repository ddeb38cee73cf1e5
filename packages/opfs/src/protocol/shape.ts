/** Recognises values by their shape: a value of another realm (an iframe) is no instance of this realm's classes. */

/** True if a value is of one of the platform's classes of these names. */
export function isOf(value: unknown, ...names: readonly string[]): boolean {
  return names.includes(Object.prototype.toString.call(value).slice('[object '.length, -1));
}

/** True for a Blob or a File. */
export function isBlob(value: unknown): value is Blob {
  return isOf(value, 'Blob', 'File');
}

/** True for a URL. */
export function isUrl(value: unknown): value is URL {
  return isOf(value, 'URL');
}

/** True for an ArrayBuffer. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return isOf(value, 'ArrayBuffer');
}
