/** Tells everybody of each flush in the worker that imports it: the worker's name. */
const channel = new BroadcastChannel('flushes');
const { prototype } = (globalThis as unknown as { FileSystemSyncAccessHandle: { prototype: { flush: () => void } } })
  .FileSystemSyncAccessHandle;
const { flush } = prototype;
prototype.flush = function (this: object): void {
  flush.call(this);
  channel.postMessage(self.name);
};
