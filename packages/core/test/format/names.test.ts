/** Names in images: every sequence of bytes is read as a name of its own, and what is written is read back. */
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fileDevice, fileSource } from '../../node/index.js';
import { decodeName } from '../../src/format/names.js';
import { bufferDevice, type CreateOptions, Qcow2Image } from '../../src/index.js';
import { buildImage } from '../support/image-builder.js';
import { QemuFolder } from '../support/qemu.js';

const folder = new QemuFolder('names');
const DATA_FILE = 0x44415441;

/** What a name stands for: the inverse of {@link decodeName}, by the rule of its comment alone. */
function bytesOf(name: string): Uint8Array {
  return Buffer.concat(
    [...name].map((character) => {
      const code = character.codePointAt(0)!;
      return code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(character);
    }),
  );
}

describe('decodeName', () => {
  test('reads UTF-8 as it is', () => {
    const names = fc.string({ unit: 'binary' }).filter((name) => !name.includes('\0'));
    fc.assert(
      fc.property(names, (name) => {
        expect(decodeName(Buffer.from(name))).toBe(name);
      }),
    );
  });

  test('is reversible for all bytes, so that no two are one name', () => {
    const byte = fc.oneof(
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom(0xef, 0xbb, 0xbf, 0xbd, 0xed, 0xa0, 0xf0, 0xf4, 0x90),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(byte, { maxLength: 40 }), (any, often) => {
        for (const bytes of [any.filter((value) => value !== 0), Uint8Array.from(often)]) {
          expect([...bytesOf(decodeName(bytes))]).toEqual([...bytes]);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test.each<[string, number[], string]>([
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x61], '\ufeffa'],
    ['a byte of Latin-1', [0x61, 0xe9, 0x62], 'a\udce9b'],
    ['an overlong slash', [0xc0, 0xaf], '\udcc0\udcaf'],
    ['a lone surrogate', [0xed, 0xa0, 0x80], '\udced\udca0\udc80'],
    ['a character past U+10FFFF', [0xf4, 0x90, 0x80, 0x80], '\udcf4\udc90\udc80\udc80'],
    ['a truncated character', [0x61, 0xe2, 0x82], 'a\udce2\udc82'],
    ['U+FFFD itself', [0xef, 0xbf, 0xbd], '\ufffd'],
    ['bytes after a NUL', [0x61, 0, 0x62], 'a'],
  ])('decodes %s', (_, bytes, name) => {
    expect(decodeName(Uint8Array.from(bytes))).toBe(name);
  });
});

describe('a file that an image names', () => {
  test('is resolved by the bytes of its name, and never by those of another', async () => {
    const asked: string[] = [];
    const resolve = async ({ name }: { name: string }) => {
      asked.push(name);
      return undefined;
    };
    for (const name of [[0xef, 0xbb, 0xbf, 0x62], [0x62, 0xff], [0x62, 0xfe], [0x62, 0xef, 0xbf, 0xbd], [0x62]]) {
      const extensions = [{ type: DATA_FILE, data: Uint8Array.from(name) }];
      await Qcow2Image.open(buildImage({ size: 65_536, extensions, incompatible: 4n }).bytes, { resolve });
    }
    expect(asked).toEqual(['\ufeffb', 'b\udcff', 'b\udcfe', 'b\ufffd', 'b']);
  });

  test('with a byte order mark is the same one that qemu-img reads', async () => {
    const name = '\ufeffbase.raw';
    writeFileSync(folder.at(name), new Uint8Array(65_536).fill(1));
    writeFileSync(folder.at('base.raw'), new Uint8Array(65_536).fill(2));
    folder.img('create', '-q', '-f', 'qcow2', '-b', name, '-F', 'raw', 'marked.qcow2');
    const image = await Qcow2Image.open(fileSource(folder.at('marked.qcow2')), {
      resolve: async (reference) => fileSource(folder.at(reference.name)),
    });
    const bytes = new Uint8Array(65_536);
    await image.read(0, bytes);
    await image.close();
    expect(Buffer.from(bytes).equals(folder.raw('marked.qcow2'))).toBe(true);
    expect(bytes[0]).toBe(1);
  });

  test('is not opened by Node under the name of another', () => {
    writeFileSync(folder.at('disk\ufffd'), 'another file');
    for (const open of [fileSource, fileDevice]) expect(() => open(folder.at('disk\udcff'))).toThrow(RangeError);
    expect(() => fileDevice(folder.at('new\udcff'), { create: true })).toThrow(RangeError);
  });
});

describe('create', () => {
  const named: [string, (name: string) => Partial<CreateOptions>][] = [
    ['backingFile', (name) => ({ backingFile: name, backingFormat: 'raw' })],
    ['backingFormat', (name) => ({ backingFile: 'base', backingFormat: name })],
    ['dataFile', (name) => ({ dataFile: name })],
  ];
  const resolve = async ({ kind }: { kind: string }) => (kind === 'data' ? bufferDevice() : undefined);

  test.each(named)('refuses half of a surrogate pair in %s before anything is changed', async (_, options) => {
    for (const name of ['a\ud800', '\udfff', 'x\udc80y']) {
      const device = bufferDevice(new Uint8Array(10).fill(1));
      const creating = Qcow2Image.create(device, { size: 65_536, ...options(name), resolve });
      await expect(creating).rejects.toThrow(RangeError);
      expect(device.bytes()).toEqual(new Uint8Array(10).fill(1));
    }
  });

  test.each(named.filter(([what]) => what !== 'backingFormat'))('is read back: %s', async (what, options) => {
    const key = what as 'backingFile' | 'dataFile';
    for (const name of ['\ufeffb', 'b\u{1f4be}', 'e\u0301', '\ufffd', 'a?b#c', 'json:x']) {
      const image = await Qcow2Image.create(bufferDevice(), { size: 65_536, ...options(name), resolve });
      expect(image.info[key]).toBe(name);
      await image.close();
    }
  });
});
