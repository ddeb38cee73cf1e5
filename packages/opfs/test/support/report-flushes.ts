/** Reports the flushes of the worker that imports it, and the messages of the workers that it starts. */
const channel = new BroadcastChannel('flushes');
const { prototype } = (globalThis as unknown as { FileSystemSyncAccessHandle: { prototype: { flush: () => void } } })
  .FileSystemSyncAccessHandle;
const { flush } = prototype;
prototype.flush = function (this: object): void {
  flush.call(this);
  channel.postMessage('flushed');
};

const Native = Worker;
globalThis.Worker = class extends Native {
  constructor(...args: ConstructorParameters<typeof Worker>) {
    super(...args);
    this.addEventListener('message', ({ data }) => channel.postMessage(data));
  }

  override postMessage(message: unknown): void {
    channel.postMessage(message === 'flush' ? 'requested' : 'other');
    super.postMessage(message);
  }
};
