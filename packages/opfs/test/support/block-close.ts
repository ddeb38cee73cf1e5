/** Has handles of the worker that imports it never close, as Chromium's do once the data of their site were cleared. */
const { prototype } = (globalThis as unknown as { FileSystemSyncAccessHandle: { prototype: { close: () => void } } })
  .FileSystemSyncAccessHandle;
prototype.close = () => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
