/** What a Blob fails with becomes one error, wherever it is read. */
import { describe, expect, it } from 'vitest';
import { blobSource, Qcow2Image } from '../../src/index.js';
import { blobFailure } from '../../src/internal.js';

/** A Blob whose reads fail as a browser's do. */
class FailingBlob extends Blob {
  readonly #name: string;

  constructor(size: number, name: string) {
    super([new Uint8Array(size)]);
    this.#name = name;
  }

  override slice(): Blob {
    return this;
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    return Promise.reject(new DOMException('no', this.#name));
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({ pull: (controller) => controller.error(new DOMException('no', this.#name)) });
  }
}

describe('a Blob that cannot be read', () => {
  it.each([
    ['NotReadableError', 'changed'],
    ['NotFoundError', 'changed'],
    ['AbortError', 'changed'],
    ['SecurityError', 'io'],
  ])('%s is `%s`, in small reads and in streams', async (name, code) => {
    for (const length of [100, 2_000_000]) {
      const source = blobSource(new FailingBlob(3_000_000, name));
      await expect(source.read([{ at: 0, bytes: new Uint8Array(length) }])).rejects.toMatchObject({ code });
    }
    expect(blobFailure(new DOMException('no', name), 7)).toMatchObject({ code, details: { what: 'file', at: 7 } });
  });

  it('is no empty file, though Chromium gives a deleted one the size 0', async () => {
    const deleted = new FailingBlob(0, 'NotFoundError');
    await expect(Qcow2Image.open(deleted)).rejects.toMatchObject({ code: 'changed' });
    await expect(Qcow2Image.open(new Blob())).rejects.toMatchObject({ code: 'not-qcow2' });
  });
});
