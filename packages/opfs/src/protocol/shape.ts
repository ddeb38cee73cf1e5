/** Tells what a value is by its shape: one of another realm (an iframe) is no instance of this one's classes. */

/** Whether a value is of one of the platform's classes of these names. */
export function isOf(value: unknown, ...names: readonly string[]): boolean {
  return names.includes(Object.prototype.toString.call(value).slice('[object '.length, -1));
}

/** Whether a value is a Blob, or a File. */
export function isBlob(value: unknown): value is Blob {
  return isOf(value, 'Blob', 'File');
}

/** Whether a value is a URL. */
export function isUrl(value: unknown): value is URL {
  return isOf(value, 'URL');
}

/** Whether a value is an ArrayBuffer. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return isOf(value, 'ArrayBuffer');
}
