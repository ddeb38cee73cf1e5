/** New images: accepted and refused as qemu-img does, found clean by it, and described as its own are. */
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileDevice } from '../../node/index.js';
import { type BlockDevice, bufferDevice, type CreateOptions, type Progress, Qcow2Image } from '../../src/index.js';
import { QemuFolder } from '../support/qemu.js';

const folder = new QemuFolder('create');
let files = 0;

const MIB = 1024 * 1024;
folder.put('base.raw', new Uint8Array(MIB).fill(7));

/** The same options for qemu-img. */
function qemuArguments(name: string, options: CreateOptions, dataFile: string): string[] {
  const set: string[] = [];
  const add = (key: string, value: unknown) => value !== undefined && set.push(`${key}=${value}`);
  const onOff = (value: boolean | undefined) => (value === undefined ? undefined : value ? 'on' : 'off');
  add('compat', options.version === undefined ? undefined : options.version === 2 ? '0.10' : '1.1');
  add('cluster_size', options.clusterSize);
  add('refcount_bits', options.refcountBits);
  add('lazy_refcounts', onOff(options.lazyRefcounts));
  add('compression_type', options.compressionType);
  add('extended_l2', onOff(options.extendedL2));
  add('preallocation', options.preallocation);
  add('backing_file', options.backingFile);
  add('backing_fmt', options.backingFormat);
  add('data_file', options.dataFile === undefined ? undefined : dataFile);
  add('data_file_raw', onOff(options.dataFileRaw));
  return ['create', '-q', '-f', 'qcow2', ...(set.length > 0 ? ['-o', set.join(',')] : []), name, `${options.size}`];
}

/** What qemu-img says of an image, without what differs from file to file. */
function described(name: string): Record<string, unknown> {
  const info = JSON.parse(folder.img('info', '--output=json', name));
  const data = { ...info['format-specific'].data };
  if (data['data-file'] !== undefined) data['data-file'] = 'the data file';
  const { 'virtual-size': size, 'cluster-size': clusterSize } = info;
  const { 'backing-filename': backing, 'backing-filename-format': format, 'dirty-flag': dirty } = info;
  return { size, clusterSize, backing, format, dirty, data };
}

/** Creates with this library, into a file of its own and, when asked, a data file beside it. */
async function createHere(name: string, options: CreateOptions): Promise<Qcow2Image> {
  const devices: BlockDevice[] = [];
  const device = fileDevice(folder.at(name), { create: true });
  const resolve = async ({ kind, name: other }: { kind: string; name: string }) => {
    if (kind !== 'data') return undefined;
    const data = fileDevice(folder.at(other), { create: true });
    devices.push(data);
    return data;
  };
  try {
    return await Qcow2Image.create(device, { ...options, resolve });
  } finally {
    device.flush();
    expect(devices.length).toBeLessThanOrEqual(1);
  }
}

/** Both create the same; both refuse, or qemu-img finds ours clean and no different from its own. */
async function compare(asked: CreateOptions): Promise<'created' | 'refused'> {
  const number = files++;
  const [ours, theirs] = [`ours-${number}.qcow2`, `theirs-${number}.qcow2`];
  const made = folder.tryImg(...qemuArguments(theirs, asked, `theirs-${number}.raw`));
  const options = asked.dataFile === undefined ? asked : { ...asked, dataFile: `ours-${number}.raw` };
  const image = await createHere(ours, options).catch((error: unknown) => error);
  try {
    if (made.status !== 0) {
      expect(image, `qemu-img refused: ${made.error}`).toBeInstanceOf(Error);
      expect(image).toSatisfy((error) => error instanceof TypeError || error instanceof RangeError);
      return 'refused';
    }
    expect(image).toBeInstanceOf(Qcow2Image);
    const check = folder.tryImg('check', ours);
    expect([check.status, check.out]).toEqual([0, expect.stringContaining('No errors were found')]);
    expect(described(ours)).toEqual(described(theirs));
    expect((image as Qcow2Image).info.virtualSize).toBe(Math.ceil(asked.size / 512) * 512);
    return 'created';
  } finally {
    if (image instanceof Qcow2Image) await image.close();
    for (const name of [ours, theirs, `ours-${number}.raw`, `theirs-${number}.raw`])
      rmSync(folder.at(name), { force: true });
  }
}

describe('Qcow2Image.create', () => {
  it.each<[string, CreateOptions]>([
    ['the defaults', { size: 10 * MIB }],
    ['version 2', { size: 10 * MIB, version: 2 }],
    ['an empty disk', { size: 0 }],
    ['a size that is not a multiple of the sector size', { size: 1_234_567 }],
    ['512-byte clusters', { size: 3 * MIB, clusterSize: 512 }],
    ['2 MiB clusters', { size: 2 ** 40, clusterSize: 2 * MIB }],
    ['1-bit refcounts', { size: MIB, refcountBits: 1 }],
    ['64-bit refcounts', { size: MIB, refcountBits: 64, clusterSize: 512, preallocation: 'metadata' }],
    ['metadata of 10 GiB', { size: 10 * 1024 * MIB, preallocation: 'metadata' }],
    [
      'metadata of a disk larger than one refcount block',
      { size: 64 * MIB, clusterSize: 1024, preallocation: 'metadata' },
    ],
    ['a backing file', { size: 2 * MIB, backingFile: 'base.raw', backingFormat: 'raw' }],
    [
      'a backing file under preallocated subclusters',
      { size: 2 * MIB, backingFile: 'base.raw', backingFormat: 'raw', extendedL2: true, preallocation: 'metadata' },
    ],
    ['a data file', { size: MIB, dataFile: 'd' }],
    ['a raw data file', { size: 5 * MIB + 512, dataFile: 'd', dataFileRaw: true }],
    ['zstd and lazy refcounts', { size: MIB, compressionType: 'zstd', lazyRefcounts: true }],
    ['64 TiB', { size: 64 * 2 ** 40 }],
    ['a pebibyte', { size: 2 ** 50 }],
  ])('creates the same image as qemu-img: %s', async (_, options) => {
    expect(await compare(options)).toBe('created');
  });

  it.each<[string, CreateOptions]>([
    ['version 2 with lazy refcounts', { size: MIB, version: 2, lazyRefcounts: true }],
    ['version 2 with other refcounts', { size: MIB, version: 2, refcountBits: 8 }],
    ['version 2 with extended entries', { size: MIB, version: 2, extendedL2: true }],
    ['version 2 with a data file', { size: MIB, version: 2, dataFile: 'd' }],
    ['version 2 with zstd', { size: MIB, version: 2, compressionType: 'zstd' }],
    ['subclusters of less than a sector', { size: MIB, extendedL2: true, clusterSize: 8192 }],
    ['dataFileRaw without a data file', { size: MIB, dataFileRaw: true }],
    [
      'a backing file behind a raw data file',
      { size: MIB, dataFile: 'd', dataFileRaw: true, backingFile: 'base.raw', backingFormat: 'raw' },
    ],
    [
      'a backing file behind preallocated clusters',
      { size: MIB, preallocation: 'metadata', backingFile: 'base.raw', backingFormat: 'raw' },
    ],
    ['a backing file without its format', { size: MIB, backingFile: 'base.raw' }],
    ['a format without its backing file', { size: MIB, backingFormat: 'raw' }],
    ['a disk too large for its clusters', { size: 200 * 1024 * MIB, clusterSize: 512 }],
    ['clusters that are no power of two', { size: MIB, clusterSize: 3000 }],
    ['clusters too small', { size: MIB, clusterSize: 256 }],
    ['clusters too large', { size: MIB, clusterSize: 4 * MIB }],
    ['refcounts that are no power of two', { size: MIB, refcountBits: 3 }],
    ['refcounts of no bits', { size: MIB, refcountBits: 0 }],
    ['refcounts of less than no bits', { size: MIB, refcountBits: -1 }],
    ['refcounts too wide', { size: MIB, refcountBits: 128 }],
  ])('refuses what qemu-img refuses: %s', async (_, options) => {
    expect(await compare(options)).toBe('refused');
  });

  it('agrees with qemu-img on options drawn at random', async () => {
    const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
    const drawn: fc.Arbitrary<CreateOptions> = fc.record({
      size: fc.integer({ min: 0, max: 40 * MIB }),
      version: maybe(fc.constantFrom(2 as const, 3 as const)),
      clusterSize: maybe(fc.integer({ min: 8, max: 22 }).map((bits) => 2 ** bits)),
      refcountBits: maybe(fc.constantFrom(1, 2, 4, 8, 16, 32, 64)),
      lazyRefcounts: maybe(fc.boolean()),
      compressionType: maybe(fc.constantFrom('zlib' as const, 'zstd' as const)),
      extendedL2: maybe(fc.boolean()),
      preallocation: maybe(fc.constantFrom('off' as const, 'metadata' as const)),
      backingFile: maybe(fc.constant('base.raw')),
      backingFormat: maybe(fc.constant('raw')),
      dataFile: maybe(fc.constant('d')),
      dataFileRaw: maybe(fc.boolean()),
    });
    const outcomes = { created: 0, refused: 0 };
    const property = fc.asyncProperty(drawn, async (options) => {
      outcomes[await compare(options)]++;
    });
    await fc.assert(property, { numRuns: Number(process.env.QCOW2_CREATE_RUNS ?? 40) });
    expect(outcomes.created).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(0);
  });

  it('reads as zeros, also with preallocated metadata, and its map agrees', async () => {
    for (const preallocation of ['off', 'metadata'] as const) {
      const device = bufferDevice();
      const image = await Qcow2Image.create(device, { size: 3 * MIB, preallocation });
      const bytes = new Uint8Array(3 * MIB).fill(1);
      await image.read(0, bytes);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
      const kinds: boolean[] = [];
      for await (const { data } of image.map()) kinds.push(data);
      expect(kinds).toEqual([preallocation === 'metadata']);
    }
  });

  it('shows its backing file', async () => {
    const base = new Uint8Array(MIB).fill(9);
    const options = { size: 2 * MIB, backingFile: 'b', backingFormat: 'raw', resolve: async () => base };
    const image = await Qcow2Image.create(bufferDevice(), options);
    const bytes = new Uint8Array(2);
    await image.read(MIB - 1, bytes);
    expect([...bytes]).toEqual([9, 0]);
  });

  it('replaces the contents of the device, and does not close the device', async () => {
    const device = bufferDevice(new Uint8Array(5 * MIB).fill(0xff));
    const image = await Qcow2Image.create(device, { size: MIB, overwrite: true });
    expect(device.size).toBe(4 * 65_536);
    await image.close();
    await device.read([{ at: 0, bytes: new Uint8Array(1) }]);
    expect(checkStatus(device.bytes())).toBe(0);
  });

  it('changes nothing for invalid options, nor for a data file that is refused', async () => {
    const device = bufferDevice(new Uint8Array([1, 2, 3]));
    for (const options of [
      { size: -1 },
      { size: 1.5 },
      { size: 2 ** 53 - 1 },
      { size: MIB, version: 4 as 3 },
      { size: MIB, compressionType: 'lzma' as 'zlib' },
      { size: MIB, preallocation: 'full' as 'off' },
      { size: MIB, backingFile: 'x'.repeat(1024), backingFormat: 'raw' },
      { size: MIB, backingFile: 'a\0b', backingFormat: 'raw' },
      { size: MIB, backingFile: 'a', backingFormat: 'a format whose name is too long' },
      { size: MIB, clusterSize: 512, backingFile: 'x'.repeat(500), backingFormat: 'raw' },
    ]) {
      await expect(Qcow2Image.create(device, options)).rejects.toThrow(RangeError);
    }
    await expect(Qcow2Image.create(device, { size: MIB, dataFile: 'd', overwrite: true })).rejects.toMatchObject({
      code: 'reference-refused',
    });
    await expect(Qcow2Image.create({ size: 0, read() {} } as never, { size: MIB })).rejects.toThrow(TypeError);
    const resolve = async () => new Uint8Array(MIB);
    const taken = { size: MIB, dataFile: 'd', overwrite: true, resolve };
    await expect(Qcow2Image.create(device, taken)).rejects.toThrow(/BlockDevice/);
    expect([...device.bytes()]).toEqual([1, 2, 3]);
  });

  it('refuses a device or a data file that is not empty, unless overwrite is set', async () => {
    const device = bufferDevice(new Uint8Array([1, 2, 3]));
    const details = { what: 'device', size: 3 };
    await expect(Qcow2Image.create(device, { size: MIB })).rejects.toMatchObject({ code: 'exists', details });
    await expect(Qcow2Image.create(device, { size: MIB, overwrite: false })).rejects.toMatchObject({ code: 'exists' });
    expect([...device.bytes()]).toEqual([1, 2, 3]);
    const data = bufferDevice(new Uint8Array([4, 5]));
    const bytes = data.bytes();
    const external = { size: MIB, dataFile: 'd', resolve: async () => data };
    const empty = bufferDevice();
    await expect(Qcow2Image.create(empty, external)).rejects.toMatchObject({
      code: 'exists',
      details: { what: 'data file', size: 2 },
    });
    expect(empty.size).toBe(0);
    expect([...bytes]).toEqual([4, 5]);
    const image = await Qcow2Image.create(device, { size: MIB, overwrite: true });
    expect(await image.read(0, 3)).toEqual(new Uint8Array(3));
    await image.close();
    expect(checkStatus(device.bytes())).toBe(0);
  });

  it('can be aborted, reports its progress, and leaves no image before its end', async () => {
    const size = 512 * 1024 * MIB;
    const heard: Progress[] = [];
    const onProgress = (progress: Progress) => heard.push(progress);
    await Qcow2Image.create(bufferDevice(), { size, preallocation: 'metadata', onProgress });
    expect(heard.at(-1)).toMatchObject({ phase: 'create', done: heard[0]!.total, total: heard[0]!.total });
    const device = bufferDevice();
    const abort = new AbortController();
    const reason = new Error('enough');
    const stopping: BlockDevice = {
      get size() {
        return device.size;
      },
      read: (transfers) => device.read(transfers),
      write: (transfers) => {
        abort.abort(reason);
        return device.write(transfers);
      },
      truncate: (length) => device.truncate(length),
      flush: () => device.flush(),
    };
    const options = { size, preallocation: 'metadata' as const, signal: abort.signal };
    await expect(Qcow2Image.create(stopping, options)).rejects.toBe(reason);
    await expect(Qcow2Image.open(device)).rejects.toMatchObject({ code: 'not-qcow2' });
  });
});

/** The status of `qemu-img check` on these bytes. */
function checkStatus(bytes: Uint8Array): number {
  const name = `check-${files++}.qcow2`;
  folder.put(name, bytes);
  return folder.tryImg('check', name).status;
}
