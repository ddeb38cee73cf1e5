/** What `info` says of LUKS images: what qemu-img says, and of damaged ones why their disk cannot be read. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LUKS_HEADER_BYTES } from '../../src/format/luks.js';
import { bufferDevice, isQcow2Error, type LuksInfo, Qcow2Image } from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { Workbench } from '../golden/qemu.js';
import { numbers } from '../support/numbers.js';

const folder = mkdtempSync(join(tmpdir(), 'qcow2-luks-'));
afterAll(() => rmSync(folder, { recursive: true }));
const bench = new Workbench(folder, 'i');

/** What `qemu-img info` says of the encryption of `i.qcow2`, in our words. */
function qemuInforms(): unknown {
  const info = JSON.parse(bench.img('info', '--output=json', bench.image));
  const { format, 'detached-header': _, ...said } = info['format-specific'].data.encrypt;
  expect(format).toBe('luks');
  return camelCased(said);
}

function camelCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCased);
  if (typeof value !== 'object' || value === null) return value;
  const named = Object.entries(value).map(([name, inner]) => [
    name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
    camelCased(inner),
  ]);
  return Object.fromEntries(named);
}

/** Makes an encrypted image; sha512 is the slowest, and QEMU's measurement of it the surest to end. */
function make(options = ''): Uint8Array<ArrayBuffer> {
  const encryption = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10,encrypt.hash-alg=sha512';
  const all = `cluster_size=4k,${encryption}${options}`;
  bench.img('create', '-q', '-f', 'qcow2', ...bench.key('one'), '-o', all, bench.image, '1m');
  return new Uint8Array(bench.read(bench.image));
}

async function luksOf(bytes: Uint8Array): Promise<LuksInfo | null | undefined> {
  await using image = await Qcow2Image.open(bytes);
  expect(image.info.encryption).toBe('luks');
  return image.info.luks;
}

/** An image with data, as QEMU makes them. */
let sound: Uint8Array<ArrayBuffer>;
beforeAll(() => {
  make();
  bench.ioKeyed('one', 'write -P 1 0 64k');
  sound = new Uint8Array(bench.read(bench.image));
});

describe('a LUKS image', () => {
  it.each([
    '',
    ',encrypt.cipher-alg=twofish-256,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256',
    ',encrypt.cipher-alg=cast5-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=plain',
  ])('has the same info as in qemu-img: defaults%s', async (options) => {
    bench.write(bench.image, options === '' ? sound : make(options)); // to make one takes seconds
    const luks = await luksOf(new Uint8Array(bench.read(bench.image)));
    expect(luks).toEqual(qemuInforms());
    expect(structuredClone(luks)).toEqual(luks);
  });

  it('is not compacted by itself, though clusters are free: each is encrypted for its place', async () => {
    bench.write(bench.image, sound);
    bench.ioKeyed('one', 'write -P 1 0 512k');
    bench.ioKeyed('one', 'discard 0 256k');
    const before = new Uint8Array(bench.read(bench.image));
    const file = bufferDevice(before);
    const autoCompact = { afterDiscarded: 0, keepFree: 0 };
    const image = await Qcow2Image.open(file, { mode: 'readwrite', autoCompact });
    await expect(image.discard(300 * 1024, 4096)).rejects.toMatchObject({ code: 'unsupported' });
    await image.writeZeroes(0, 0);
    await new Promise((resolve) => setTimeout(resolve, 600));
    await expect(image.compact()).rejects.toMatchObject({ code: 'unsupported' });
    await image.close();
    expect(Buffer.compare(file.bytes(), before)).toBe(0);
  });

  it.each([
    ['length', 12, 12],
    ['length', 12, 16],
    ['length', 12, 20],
    ['length', 12, 23],
    ['length', 12, 30],
    ['length', 12, 40],
    ['offset', 4, 16],
    ['offset', 4, 18],
  ])('is not repaired with another %s in its extension (%d, bit %d): its keys could be freed', async (_, at, bit) => {
    const bytes = sound.slice();
    const view = new DataView(bytes.buffer);
    let extension = view.getUint32(100);
    while (view.getUint32(extension) !== 0x0537be77) extension += 8 + Math.ceil(view.getUint32(extension + 4) / 8) * 8;
    const word = extension + at + 4;
    view.setBigUint64(word, view.getBigUint64(word) ^ (1n << BigInt(bit)));
    for (const fix of ['all', 'leaks'] as const) {
      const device = bufferDevice(bytes);
      await expect(repairDevice(device, { fix })).rejects.toMatchObject({ code: 'corrupt' });
      expect(Buffer.compare(device.bytes(), bytes)).toBe(0);
    }
  });

  it('is not repaired with a length in its extension that reaches over its disk', async () => {
    const view = new DataView(sound.buffer);
    const table = Number(view.getBigUint64(Number(view.getBigUint64(40))) & 0x00ff_ffff_ffff_fe00n);
    // The L2 table is elsewhere, so that only data follow the key material.
    const bytes = new Uint8Array(sound.length + 4096);
    bytes.set(sound);
    bytes.set(sound.subarray(table, table + 4096), sound.length);
    const parts = new Parts(bytes);
    parts.view.setBigUint64(Number(view.getBigUint64(40)), BigInt(sound.length) | (1n << 63n));
    parts.view.setBigUint64(parts.pointer + 8, BigInt(sound.length - parts.header));
    const device = bufferDevice(bytes);
    await expect(repairDevice(device, { fix: 'all' })).rejects.toMatchObject({ code: 'corrupt' });
    expect(Buffer.compare(device.bytes(), bytes)).toBe(0);
  });

  it('shows which of its key slots are active', async () => {
    bench.write(bench.image, sound);
    const more = 'encrypt.state=active,encrypt.new-secret=two,encrypt.iter-time=10,encrypt.keyslot=5';
    const keys = [...bench.key('one'), '--object', 'secret,id=two,data=two'];
    bench.img('amend', ...keys, ...['-o', more], ...bench.keyed());
    const luks = await luksOf(new Uint8Array(bench.read(bench.image)));
    expect(luks?.slots.map(({ active }) => active)).toEqual([true, false, false, false, false, true, false, false]);
    expect(luks).toEqual(qemuInforms());
  });

  it('needs one read more to open, of its header alone', async () => {
    const calls = async (image: Uint8Array) => {
      await using opened = await Qcow2Image.open(image);
      return await opened.stats();
    };
    const plain = sound.slice();
    new DataView(plain.buffer).setUint32(32, 0);
    const [luks, without] = [await calls(sound), await calls(plain)];
    expect(luks.deviceReads - without.deviceReads).toBe(1);
    expect(luks.deviceBytes - without.deviceBytes).toBe(LUKS_HEADER_BYTES);
  });

  it('with the older method has no LUKS header', async () => {
    const options = 'encrypt.format=aes,encrypt.key-secret=key';
    bench.img('create', '-q', '-f', 'qcow2', ...bench.key('one'), '-o', options, bench.image, '1m');
    await using image = await Qcow2Image.open(new Uint8Array(bench.read(bench.image)));
    expect(image.info.encryption).toBe('aes');
    expect(image.info.luks).toBeUndefined();
  });
});

/** The parts of an image that are spoilt here. */
class Parts {
  readonly view: DataView;
  /** Where the pointer's data and the LUKS header are. */
  readonly pointer = 120;
  readonly header: number;

  constructor(readonly bytes: Uint8Array<ArrayBuffer>) {
    this.view = new DataView(bytes.buffer);
    expect(this.view.getUint32(112)).toBe(0x0537be77);
    this.header = Number(this.view.getBigUint64(this.pointer));
  }

  text(at: number, text: string): void {
    this.bytes.fill(0, this.header + at, this.header + at + 32);
    this.bytes.set(new TextEncoder().encode(text), this.header + at);
  }

  u32(at: number, value: number): void {
    this.view.setUint32(this.header + at, value);
  }
}

interface Damage {
  readonly name: string;
  readonly code?: 'unsupported';
  readonly what: string;
  readonly harm: (parts: Parts) => void;
  /** QEMU looks at it only when a key is used, or does not survive it. */
  readonly qemuOpens?: true;
}

const POINTER = 'full disk encryption header pointer';
const slotAt = (index: number): number => 208 + 48 * index;
const DAMAGES: readonly Damage[] = [
  {
    name: 'no pointer',
    what: POINTER,
    harm: ({ view }) => view.setUint32(112, 0x11223344),
    qemuOpens: true, // it crashes
  },
  { name: 'a pointer of another length', what: POINTER, harm: ({ bytes }) => bytes.fill(0, 128, 136).set([8], 119) },
  { name: 'a pointer into a cluster', what: POINTER, harm: ({ view, pointer }) => view.setUint8(pointer + 7, 1) },
  {
    name: 'a pointer past the end of the file',
    what: POINTER,
    harm: ({ view, pointer }) => view.setUint8(pointer, 0x7f),
  },
  {
    name: 'a length past the end of the file',
    what: POINTER,
    harm: ({ view, pointer }) => view.setUint8(pointer + 8, 0x7f),
    qemuOpens: true,
  },
  {
    name: 'a length less than the header',
    what: 'LUKS header, length',
    harm: ({ view, pointer }) => view.setBigUint64(pointer + 8, 591n),
  },
  {
    name: 'a length that ends within the key material',
    what: 'LUKS header, key slot 1, key-material-offset',
    harm: ({ view, pointer }) => view.setBigUint64(pointer + 8, 0x5_0000n),
    qemuOpens: true,
  },
  { name: 'another magic', what: 'LUKS header, magic', harm: ({ bytes, header }) => bytes.set([0], header + 5) },
  {
    name: 'version 2',
    code: 'unsupported',
    what: 'LUKS header, version',
    harm: ({ bytes, header }) => bytes.set([2], header + 7),
  },
  {
    name: 'an unknown cipher',
    code: 'unsupported',
    what: 'LUKS header, cipher-name',
    harm: (parts) => parts.text(8, 'rot13'),
  },
  {
    name: 'a cipher name without NUL',
    what: 'LUKS header, cipher-name',
    harm: (parts) => parts.text(8, 'a'.repeat(32)),
  },
  {
    name: 'a mode without a generator',
    what: 'LUKS header, cipher-mode',
    harm: (parts) => parts.text(40, 'xts'),
  },
  {
    name: 'an unknown mode',
    code: 'unsupported',
    what: 'LUKS header, cipher-mode',
    harm: (parts) => parts.text(40, 'xxx-plain64'),
  },
  {
    name: 'an unknown generator',
    code: 'unsupported',
    what: 'LUKS header, cipher-mode',
    harm: (parts) => parts.text(40, 'xts-complex64'),
  },
  {
    name: 'a generator without its hash',
    what: 'LUKS header, cipher-mode',
    harm: (parts) => parts.text(40, 'xts-essiv'),
  },
  {
    name: 'a hash too long for the key of its generator',
    code: 'unsupported',
    what: 'LUKS header, cipher-mode',
    harm: (parts) => parts.text(40, 'xts-essiv:sha512'),
  },
  {
    name: 'an unknown hash',
    code: 'unsupported',
    what: 'LUKS header, hash-spec',
    harm: (parts) => parts.text(72, 'crc32'),
  },
  {
    name: 'a key of length 0',
    code: 'unsupported',
    what: 'LUKS header, key-bytes',
    harm: (parts) => parts.u32(108, 0),
  },
  {
    name: 'a key of an excessive length',
    code: 'unsupported',
    what: 'LUKS header, key-bytes',
    harm: (parts) => parts.u32(108, 0xffffffff),
  },
  { name: 'a payload in the header', what: 'LUKS header, payload-offset', harm: (parts) => parts.u32(104, 7) },
  {
    name: 'a payload within the key material',
    what: 'LUKS header, key slot 7, key-material-offset',
    harm: (parts) => parts.u32(104, 4000),
  },
  { name: 'no iterations', what: 'LUKS header, mk-digest-iter', harm: (parts) => parts.u32(164, 0) },
  {
    name: 'a slot that is neither active nor not',
    what: 'LUKS header, key slot 3, active',
    harm: (parts) => parts.u32(slotAt(3), 0xdeaf),
  },
  {
    name: 'a slot without iterations',
    what: 'LUKS header, key slot 0, iterations',
    harm: (parts) => parts.u32(slotAt(0) + 4, 0),
  },
  {
    name: 'a slot of too many stripes',
    what: 'LUKS header, key slot 2, stripes',
    harm: (parts) => parts.u32(slotAt(2) + 44, 4001),
  },
  {
    name: 'a slot in the header',
    what: 'LUKS header, key slot 0, key-material-offset',
    harm: (parts) => parts.u32(slotAt(0) + 40, 0),
  },
  {
    name: 'a slot past the end of the key material',
    what: 'LUKS header, key slot 7, key-material-offset',
    harm: (parts) => parts.u32(slotAt(7) + 40, 0x7fffffff),
  },
  {
    name: 'a slot that overlaps another',
    what: 'LUKS header, key slot 6, key-material-offset',
    harm: (parts) => parts.u32(slotAt(6) + 40, 64),
  },
];

describe('a LUKS header with', () => {
  it.each(DAMAGES)('$name is reported when the disk is read, and everything else works', async (damage) => {
    const parts = new Parts(sound.slice());
    damage.harm(parts);
    await using image = await Qcow2Image.open(parts.bytes);
    expect(image.info).toMatchObject({ encryption: 'luks', luks: undefined });
    const { code = 'corrupt', what } = damage;
    const wanted = { name: 'Qcow2Error', code, details: { what, at: expect.any(Number) } };
    await expect(image.read(0, new Uint8Array(1))).rejects.toMatchObject(wanted);
    expect(await image.map().next()).toMatchObject({ done: false, value: { start: 0, data: true } });
    await image.check();
    bench.write('harmed.qcow2', parts.bytes);
    if (damage.qemuOpens) return;
    expect(() => bench.img('info', 'harmed.qcow2')).toThrow();
  });

  it('damage cannot be written either', async () => {
    const parts = new Parts(sound.slice());
    parts.u32(164, 0);
    const device = bufferDevice(parts.bytes);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await expect(image.write(0, new Uint8Array(512))).rejects.toMatchObject({ code: 'corrupt' });
    await image.close();
    expect(Buffer.compare(device.bytes(), parts.bytes)).toBe(0);
  });

  it('any bytes changed gives an info or a Qcow2Error, and never fails in another way', async () => {
    const next = numbers(17);
    const { header } = new Parts(sound);
    for (let round = 0; round < 200; round++) {
      const bytes = sound.slice();
      for (let flips = 1 + (next() % 3); flips > 0; flips--) bytes[header + (next() % LUKS_HEADER_BYTES)] = next();
      await using image = await Qcow2Image.open(bytes);
      const error = await image.read(0, new Uint8Array(1)).catch((thrown: unknown) => thrown);
      expect(isQcow2Error(error, 'corrupt', 'unsupported')).toBe(true);
      const { luks } = image.info;
      expect(luks === undefined || luks?.slots.length === 8).toBe(true);
    }
  });
});
