/**
 * Takes the workers away from the worker that imports it, in one of the ways in which that can be: its name says which.
 */
if (self.name === 'no workers') {
  Reflect.deleteProperty(globalThis, 'Worker');
} else if (self.name === 'no script') {
  const Native = Worker;
  globalThis.Worker = class extends Native {
    constructor(_script: string | URL, options?: WorkerOptions) {
      super('data:text/javascript,throw new Error("no script")', options);
    }
  };
}
