/** Rehydrating: from what, onto what, in which order, and how it fails. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, type Progress, Qcow2Image, rehydrate } from '../../src/index.js';
import { dehydrated, rehydrated } from '../support/dehydrated.js';
import { expectSame } from '../support/expect-same.js';
import { FaultyDevice } from '../support/faulty-device.js';
import { host } from '../support/http/hosted.js';
import { buildImage, filled } from '../support/image-builder.js';
import { DeviceLog } from '../support/recording-device.js';
import { RecordingSource } from '../support/recording-source.js';

const image = buildImage({ clusterBits: 16, clusters: new Map([[1, filled(7)]]) }).bytes;
const file = await dehydrated(image);
const expected = await rehydrated(file);

/** A stream of a file in chunks of a few bytes, and what it was cancelled with. */
function streamOf(bytes: Uint8Array): { stream: ReadableStream<Uint8Array>; cancelled: unknown[] } {
  const cancelled: unknown[] = [];
  let at = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at === bytes.length) return controller.close();
        controller.enqueue(bytes.subarray(at, at + 7));
        at = Math.min(bytes.length, at + 7);
      },
      cancel(reason) {
        cancelled.push(reason);
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, cancelled };
}

describe('the dehydrated file', () => {
  it('may be a Blob, a buffer, a source, a stream or an address', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(file.length));
    shared.set(file);
    const { stream } = streamOf(file);
    const chunks = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(shared);
        controller.close();
      },
    });
    const url = new URL((await host(file)).url);
    for (const from of [new Blob([file]), file.buffer, file, new RecordingSource(file), stream, chunks, url]) {
      const device = bufferDevice();
      await rehydrate(from, device);
      expectSame(device.bytes(), expected);
    }
    expect(stream.locked).toBe(false);
  });

  it('is not closed when it is a source of the caller', async () => {
    const source = new RecordingSource(file);
    await rehydrate(source, bufferDevice());
    expect(source.closed).toBe(0);
  });

  it('that is a stream is cancelled with the refusal, and released', async () => {
    const device = bufferDevice(new Uint8Array(1));
    const { stream, cancelled } = streamOf(file);
    const error = await rehydrate(stream, device).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'exists', details: { what: 'device', size: 1 } });
    expect(cancelled).toEqual([error]);
    expect(stream.locked).toBe(false);
    expect(device.size).toBe(1);
  });

  it('that is a stream of something else, or that fails, or is no file at all, is refused with its error', async () => {
    const failure = { failed: true };
    const failing = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(failure) });
    await expect(rehydrate(failing, bufferDevice())).rejects.toBe(failure);
    const texts = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue('text' as unknown as Uint8Array),
    });
    await expect(rehydrate(texts, bufferDevice())).rejects.toBeInstanceOf(TypeError);
    await expect(rehydrate('file' as unknown as Blob, bufferDevice())).rejects.toBeInstanceOf(TypeError);
    const source = new RecordingSource(file);
    source.failure = new Error('unplugged');
    await expect(rehydrate(source, bufferDevice())).rejects.toBe(source.failure);
  });
});

describe('a file that is not dehydrated', () => {
  const inChunks = (bytes: Uint8Array, length: number) => {
    let at = 0;
    return new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.subarray(at, at + length));
        at += length;
      },
    });
  };
  const refusal = async (from: Parameters<typeof rehydrate>[0]): Promise<unknown> => {
    const device = bufferDevice();
    const error = await rehydrate(from, device).catch((thrown: unknown) => thrown);
    expect(device.size).toBe(0);
    return error;
  };

  it('is refused as what it is when it is a qcow2 image, in chunks of any length', async () => {
    const expected = {
      code: 'corrupt',
      message: 'This is a qcow2 image, not a dehydrated file. Open it as it is.',
      details: { what: 'compressed form of the dehydrated image', at: 0 },
    };
    const chunked = [1, 3, 4, 7, 8, 9, image.length].map((length) => inChunks(image, length));
    for (const from of [image, new Blob([image]), ...chunked]) expect(await refusal(from)).toMatchObject(expected);
    for (const from of chunked) expect(from.locked).toBe(false);
  });

  it('is refused as damaged when it is something else, however short', async () => {
    const message = 'The dehydrated image cannot be decompressed.';
    const cut = 'The dehydrated image is cut short.';
    for (const bytes of [new Uint8Array(20), image.subarray(0, 7), new TextEncoder().encode('no image at all')]) {
      for (const from of [bytes, inChunks(bytes, 1)]) expect(await refusal(from)).toMatchObject({ message });
    }
    for (const from of [new Uint8Array(0), inChunks(new Uint8Array(0), 1)])
      expect(await refusal(from)).toMatchObject({ code: 'corrupt', message: expect.toBeOneOf([message, cut]) });
    for (const length of [1, 7, 8]) {
      const device = bufferDevice();
      await rehydrate(inChunks(file, length), device);
      expectSame(device.bytes(), expected);
    }
  });
});

describe('the device', () => {
  it('must be one, and must not be written by an image', async () => {
    await expect(rehydrate(file, {} as never)).rejects.toBeInstanceOf(TypeError);
    const device = bufferDevice();
    const open = await Qcow2Image.create(device, { size: MIB });
    await expect(rehydrate(file, device)).rejects.toMatchObject({ code: 'locked' });
    await open.close();
  });

  it('gets the header last, between two flushes, and nothing where there is nothing', async () => {
    const log = new DeviceLog();
    const device = log.add(new Uint8Array(0));
    await rehydrate(file, device);
    const kinds = log.entries.map((entry) => entry.kind);
    expect(kinds[0]).toBe('truncate');
    expect(kinds.slice(-3)).toEqual(['flush', 'write', 'flush']);
    const writes = log.entries.filter((entry) => entry.kind === 'write');
    expect(writes.at(-1)).toMatchObject({ at: 0 });
    for (const { at } of writes.slice(0, -1)) expect(at).toBeGreaterThan(0);
    for (const { bytes } of writes.slice(0, -1)) expect(new Set(bytes).size).toBeGreaterThan(1);
    const written = writes.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(written).toBeLessThan(6 * 4096);
  });

  it('is empty again after any failure of its own, which is thrown', async () => {
    for (const call of ['write', 'flush', 'truncate'] as const) {
      for (let nth = 0; ; nth++) {
        const device = bufferDevice();
        const faulty = new FaultyDevice(device);
        faulty.fault = { call, nth, error: new Error(`${call} ${nth}`), promised: nth % 2 === 0 };
        const error = await rehydrate(file, faulty).catch((thrown: unknown) => thrown);
        if (!faulty.failed) break;
        expect(error).toBe(faulty.fault.error);
        expect(device.size).toBe(0);
      }
    }
  });
});

const MIB = 2 ** 20;

describe('while it runs', () => {
  it('reports progress up to the length of the image file', async () => {
    const reports: Progress[] = [];
    await rehydrate(file, bufferDevice(), { onProgress: (progress) => reports.push(progress) });
    expect(reports.at(-1)).toEqual({ phase: 'rehydrate', done: image.length, total: image.length });
    const thrown = new Error('thrown');
    const onProgress = () => {
      throw thrown;
    };
    const device = bufferDevice();
    await expect(rehydrate(file, device, { onProgress })).rejects.toBe(thrown);
    expect(device.size).toBe(0);
  });

  it('is aborted with the reason, also while it waits for a stream that gives nothing', async () => {
    const reason = { enough: true };
    const { stream, cancelled } = streamOf(file);
    await expect(rehydrate(stream, bufferDevice(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(cancelled).toEqual([reason]);
    for (const before of [0, 7, 100]) {
      const abort = new AbortController();
      const device = bufferDevice();
      const silent = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(file.slice(0, before)),
      });
      const running = rehydrate(silent, device, { signal: abort.signal });
      setTimeout(() => abort.abort(reason), 20);
      await expect(running).rejects.toBe(reason);
      expect(device.size).toBe(0);
      expect(silent.locked).toBe(false);
    }
  });
});
