/**
 * Reads and writes of files in the worker that imports it take half a second for each 32 MiB, as on a slow medium, and
 * block it as long.
 */
const MS_PER_BYTE = 500 / 2 ** 25;
type Transfer = (this: object, bytes: Uint8Array, options?: { at?: number }) => number;
const { prototype } = (
  globalThis as unknown as { FileSystemSyncAccessHandle: { prototype: { read: Transfer; write: Transfer } } }
).FileSystemSyncAccessHandle;
for (const verb of ['read', 'write'] as const) {
  const native = prototype[verb];
  prototype[verb] = function (bytes, options) {
    const until = performance.now() + bytes.length * MS_PER_BYTE;
    const count = native.call(this, bytes, options);
    while (performance.now() < until);
    return count;
  };
}
