/**
 * Gives files of the worker that imports it no more than 1 MiB: writing past it answers 0, as Firefox does with the
 * quota spent.
 */
const MAX_BYTES = 2 ** 20;
const { prototype } = (
  globalThis as unknown as {
    FileSystemSyncAccessHandle: { prototype: { write: (bytes: Uint8Array, options?: { at?: number }) => number } };
  }
).FileSystemSyncAccessHandle;
const { write } = prototype;
prototype.write = function (this: object, bytes: Uint8Array, options: { at?: number } = {}): number {
  return (options.at ?? 0) + bytes.length > MAX_BYTES ? 0 : write.call(this, bytes, options);
};
