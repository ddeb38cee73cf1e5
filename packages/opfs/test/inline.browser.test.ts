/**
 * The entry that holds its worker as text, from the sources, and how workers start where `new Worker` alone refuses.
 */
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../src/inline.js';
import { startFromAnyOrigin, workerOfText } from '../src/protocol/script-worker.js';
import { workerScript } from '../src/worker-script.js';
import { longFile, mixedImage } from './support/images.js';
import { clearStorage } from './support/opfs.js';
import { errorOf } from './support/outcomes.js';
import type { Started } from './support/starting-shared-worker.js';

beforeEach(clearStorage);
afterAll(clearStorage);

describe('qcow2-opfs/inline', () => {
  test('stores and reads images in a worker without a script file', async () => {
    const store = await openStore();
    const { file } = await mixedImage();
    await store.import('disk', file);
    const disk = await store.open('disk', { mode: 'readwrite' });
    const written = new Uint8Array([1, 2, 3]);
    await disk.write(7, written);
    const read = new Uint8Array(3);
    await disk.read(7, read);
    expect(read).toEqual(written);
    await store.close();
  });

  test('starts the worker that flushes from the same text', async () => {
    const told: string[] = [];
    const channel = new BroadcastChannel('flushes');
    channel.onmessage = ({ data }: MessageEvent<string>) => told.push(data);
    const telling = await (await fetch(new URL('./support/report-flushes.ts', import.meta.url))).text();
    const store = await openStore({ worker: () => workerOfText(`${telling}\n${workerScript}`) });
    await store.import('disk', await longFile(40));
    await expect.poll(() => told).toContain('flushed');
    const several = !navigator.userAgent.includes('Firefox');
    const answers = told.filter((word) => word === 'opened' || word === 'closed');
    expect(answers).toEqual(several ? ['opened', 'closed'] : []);
    channel.close();
    await store.close();
  });

  test('names the script that a worker of the caller’s own must have', async () => {
    const worker = (): Worker => new Worker(new URL('/no-such-worker.js', location.href), { type: 'module' });
    const error = await errorOf(openStore({ worker }));
    expect(error).toMatchObject({ code: 'failed', message: expect.stringContaining('qcow2-opfs/worker') });
  });
});

describe('startFromAnyOrigin', () => {
  const address = URL.createObjectURL(new Blob(['postMessage(self.name)'], { type: 'text/javascript' }));
  const { Worker: Native } = globalThis;
  const nameOf = (worker: Worker): Promise<string> =>
    new Promise((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<string>) => {
        worker.terminate();
        resolve(data);
      };
    });

  test('starts one worker, with the given options', async () => {
    let calls = 0;
    const worker = startFromAnyOrigin(() => {
      calls++;
      return new Worker(address, { name: 'given' });
    });
    expect(worker).toBeInstanceOf(Native);
    expect(await nameOf(worker)).toBe('given');
    expect(calls).toBe(1);
  });

  test('accepts the worker of another constructor', async () => {
    expect(await nameOf(startFromAnyOrigin(() => new Native(address, { name: 'other' })))).toBe('other');
  });

  test('throws what creating the worker throws, and restores the constructor', () => {
    const refused = new Error('no worker here');
    expect(() =>
      startFromAnyOrigin(() => {
        throw refused;
      }),
    ).toThrow(refused);
    expect(globalThis.Worker).toBe(Native);
  });

  // Firefox has workers in a SharedWorker.
  if (!navigator.userAgent.includes('Firefox')) {
    test('throws where there are no workers, as in a SharedWorker of Chromium', async () => {
      const shared = new SharedWorker(new URL('./support/starting-shared-worker.ts', import.meta.url), {
        type: 'module',
      });
      const { data } = await new Promise<MessageEvent<Started>>((resolve) => {
        shared.port.onmessage = resolve;
      });
      shared.port.close();
      expect(data.after).toBe(data.before);
      if (data.before) expect(data.message).toBeNull();
      else expect(data.message).toContain('cannot start dedicated workers');
    });
  }

  test('starts a script of its own origin by its URL in a frame of srcdoc, where blob: is refused', async () => {
    const [module, script] = ['../src/protocol/script-worker.ts', './support/hello-worker.ts'].map(
      (path) => new URL(path, import.meta.url).href,
    );
    const frame = document.createElement('iframe');
    const told = new Promise((resolve) => addEventListener('message', ({ data }) => resolve(data), { once: true }));
    frame.srcdoc = `<meta http-equiv="Content-Security-Policy" content="worker-src ${location.origin}">
      <script type="module">
        import { startFromAnyOrigin } from '${module}';
        const worker = startFromAnyOrigin(() => new Worker('${script}', { type: 'module', name: 'in a frame' }));
        worker.onmessage = ({ data }) => parent.postMessage(data, '*');
        worker.onerror = () => parent.postMessage('refused', '*');
      </script>`;
    document.body.append(frame);
    expect(await told).toBe('in a frame');
    frame.remove();
  });
});
