/** Errors from inside a backing file: whoever reads the image is told in which file of the chain it is. */
import { describe, expect, test } from 'vitest';
import { type ByteSource, bufferDevice, Qcow2Error, Qcow2Image, type Resolved } from '../src/index.js';
import { put } from './support/big-endian.js';
import { buildImage } from './support/image-builder.js';

const CLUSTER = 65_536;

/** An image whose cluster 3 is data; with a name, over a backing file. */
function layer(backingName?: string): { bytes: Uint8Array<ArrayBuffer>; entry: number } {
  const built = buildImage({
    ...(backingName !== undefined && { backingName }),
    clusters: new Map([[3, { kind: 'data', bytes: new Uint8Array(CLUSTER).fill(1) }]]),
  });
  return { bytes: built.bytes, entry: built.entryAt(0) };
}

/** Breaks the entry of guest cluster 0: it points between two clusters. */
function broken({ bytes, entry }: ReturnType<typeof layer>): Uint8Array<ArrayBuffer> {
  put(bytes, entry, 8, (1n << 63n) | 0x1_0200n);
  return bytes;
}

/** The image over files, the nearest first; opened for writing, too. */
function openOver(files: readonly NonNullable<Resolved>[]): Promise<Qcow2Image> {
  return Qcow2Image.open(bufferDevice(layer('1.qcow2').bytes), {
    mode: 'readwrite',
    resolve: async ({ depth }) => files[depth - 1],
  });
}

const failing: ByteSource = {
  size: CLUSTER,
  read: async (transfers) => {
    if (transfers.length > 0) throw new Qcow2Error('io', 'The disk is on fire.', { what: 'file', at: 0 });
  },
};

const chains: [string, NonNullable<Resolved>[], object][] = [
  [
    'an L2 entry of the backing file',
    [broken(layer())],
    {
      code: 'corrupt',
      message: /^Backing file "1\.qcow2": The L2 entry/,
      details: { layer: 1, what: 'L2 entry', guest: 0 },
    },
  ],
  [
    'an L2 entry two files down',
    [layer('2.qcow2').bytes, broken(layer())],
    { code: 'corrupt', message: /^Backing file "2\.qcow2": The L2 entry/, details: { layer: 2, what: 'L2 entry' } },
  ],
];

describe.each(chains)('%s', (_, files, expected) => {
  test.each<[string, (image: Qcow2Image) => Promise<unknown>]>([
    ['read', (image) => image.read(0, new Uint8Array(512))],
    ['read of several layers', (image) => image.read(0, new Uint8Array(4 * CLUSTER))],
    [
      'map',
      async (image) => {
        for await (const _extent of image.map());
      },
    ],
    [
      'readable',
      async (image) => {
        for await (const _chunk of image.readable());
      },
    ],
    ['copy on write', (image) => image.write(512, new Uint8Array(512))],
  ])('%s', async (_name, work) => {
    await using image = await openOver(files);
    const error = await work(image).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(Qcow2Error);
    const { message, ...rest } = expected as { message: RegExp };
    expect(error).toMatchObject(rest);
    expect((error as Qcow2Error).message).toMatch(message);
  });

  test('readSync', async () => {
    await using image = await openOver(files);
    expect(() => image.readSync(0, new Uint8Array(512))).toThrow((expected as { message: RegExp }).message);
  });
});

test('a raw backing file that cannot be read', async () => {
  await using image = await openOver([{ source: failing, format: 'raw' }]);
  await expect(image.read(0, new Uint8Array(512))).rejects.toMatchObject({
    code: 'io',
    message: 'Backing file "1.qcow2": The disk is on fire.',
    details: { what: 'file', at: 0, layer: 1 },
  });
});

test('an error of the image itself names no other file', async () => {
  const image = await Qcow2Image.open(broken(layer('1.qcow2')), { resolve: async () => layer().bytes });
  const error: unknown = await image.read(0, new Uint8Array(512)).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'corrupt', message: expect.stringMatching(/^The L2 entry/) });
  expect((error as Qcow2Error).details).not.toHaveProperty('layer');
});

test('an error about a file that was not provided names that file, not the one that references it', async () => {
  await using image = await openOver([layer('2.qcow2').bytes]);
  const error: unknown = await image.read(0, new Uint8Array(512)).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'reference-refused', details: { name: '2.qcow2', depth: 2 } });
  expect((error as Qcow2Error).message).not.toMatch(/1\.qcow2/);
});

test.each([new Error('enough'), new Qcow2Error('closed', 'enough')])(
  'the reason of an abort is not wrapped: %s',
  async (reason) => {
    const abort = new AbortController();
    const source: ByteSource = {
      size: CLUSTER,
      read: async (transfers, signal) => {
        if (transfers.length === 0) return;
        abort.abort(reason);
        signal?.throwIfAborted();
      },
    };
    await using image = await openOver([{ source, format: 'raw' }]);
    await expect(image.read(0, new Uint8Array(512), { signal: abort.signal })).rejects.toBe(reason);
  },
);
