/** The entry of a SharedWorker that starts a worker, and sends what came of it. */
import { startFromAnyOrigin } from '../../src/protocol/script-worker.js';

/** What came of it. */
export interface Started {
  /** Whether there were workers here before, and after. */
  before: boolean;
  after: boolean;
  /** What was thrown; null when the worker has started. */
  message: string | null;
}

async function start(): Promise<Started> {
  const before = 'Worker' in self;
  let message: string | null = null;
  try {
    const worker = startFromAnyOrigin(
      () => new Worker(new URL('./hello-worker.ts', import.meta.url), { type: 'module' }),
    );
    await new Promise((resolve) => worker.addEventListener('message', resolve, { once: true }));
    worker.terminate();
  } catch (error) {
    message = String(error);
  }
  return { before, after: 'Worker' in self, message };
}

self.addEventListener('connect', async (event) => {
  const [port] = (event as MessageEvent).ports;
  port!.postMessage(await start());
});
