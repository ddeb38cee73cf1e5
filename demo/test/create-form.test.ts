import { bufferDevice, Qcow2Image } from 'qcow2';
import { describe, expect, it } from 'vitest';
import { type CreateForm, DEFAULT_FORM, madeSize, type Refusals, readForm } from '../src/store/create-form.js';

const existing = [
  { name: 'base.qcow2', virtualSize: 5 * 2 ** 30 },
  { name: 'broken.qcow2', virtualSize: null },
];

function refusalsOf(changes: Partial<CreateForm>): Refusals {
  const read = readForm({ ...DEFAULT_FORM, ...changes }, existing);
  return 'refusals' in read ? read.refusals : {};
}

describe('the form for a new image', () => {
  it('creates the options from its fields', () => {
    const read = readForm(
      { ...DEFAULT_FORM, name: ' a.qcow2 ', size: '1.5G', clusterSize: 4096, version: 2 },
      existing,
    );
    expect(read).toMatchObject({
      request: { name: 'a.qcow2', options: { size: 1.5 * 2 ** 30, clusterSize: 4096, version: 2 } },
    });
    expect(read).not.toHaveProperty('request.options.backingFile');
  });

  it('uses the size of the base if none is given', () => {
    const read = readForm({ ...DEFAULT_FORM, size: '', backingFile: 'base.qcow2' }, existing);
    expect(read).toHaveProperty('request.options', {
      ...{ size: 5 * 2 ** 30, clusterSize: 65536, version: 3, refcountBits: 16, lazyRefcounts: false },
      ...{ compressionType: 'zlib', extendedL2: false, preallocation: 'off' },
      ...{ backingFile: 'base.qcow2', backingFormat: 'qcow2' },
    });
    expect(refusalsOf({ size: '', backingFile: 'broken.qcow2' }).size).toContain('is not known');
    expect(refusalsOf({ size: '' }).size).toContain('Say how large');
  });

  it('refuses a small number without a unit, and says which units may be meant', () => {
    expect(refusalsOf({ size: '100' }).size).toContain('Write 100M or 100G, or 100 bytes');
    expect(refusalsOf({ size: ' 65,536 ' }).size).toContain('has no unit');
    for (const size of ['100 bytes', '100B', '1048576', '100k']) expect(refusalsOf({ size }).size).toBeUndefined();
  });

  it.each([
    ['100 bytes', '', 512],
    ['1M', '', 2 ** 20],
    ['1048577', '', 2 ** 20 + 512],
    ['', 'base.qcow2', 5 * 2 ** 30],
    ['100', '', null],
    ['', '', null],
  ])('says the exact size of the disk: of "%s" over "%s" %s bytes', async (size, backingFile, bytes) => {
    const form = { ...DEFAULT_FORM, size, backingFile };
    expect(madeSize(form, existing)).toBe(bytes);
    const read = readForm(form, existing);
    if (!('request' in read) || backingFile !== '') return;
    expect((await Qcow2Image.create(bufferDevice(), read.request.options)).size).toBe(bytes);
  });

  it.each([
    ['', 'Give the image a name'],
    ['.hidden', 'dot'],
    ['a/b', 'slash'],
    ['a\tb', 'character'],
    ['ü'.repeat(101), 'too long'],
    ['base.qcow2', 'already'],
  ])('refuses the name "%s"', (name, words) => {
    expect(refusalsOf({ name }).name).toContain(words);
  });

  it('treats names with differently encoded accents as equal', () => {
    const stored = [{ name: '\u00fc', virtualSize: null }];
    expect(readForm({ ...DEFAULT_FORM, name: 'u\u0308' }, stored)).toHaveProperty('refusals.name');
  });

  it('refuses what version 2 does not have, each beside its field', () => {
    const all = { refcountBits: 8, lazyRefcounts: true, compressionType: 'zstd', extendedL2: true } as const;
    expect(refusalsOf({ version: 3, ...all })).toEqual({});
    expect(Object.keys(refusalsOf({ version: 2, ...all })).sort()).toEqual(Object.keys(all).sort());
  });

  it('excludes the same combinations as the engine', async () => {
    const choices: Partial<CreateForm>[] = [];
    for (const version of [2, 3] as const) {
      for (const extendedL2 of [false, true]) {
        for (const clusterSize of [8192, 16384]) {
          for (const backingFile of ['', 'base.qcow2']) {
            for (const preallocation of ['off', 'metadata'] as const) {
              choices.push({ version, extendedL2, clusterSize, backingFile, preallocation, size: '1M' });
            }
          }
        }
      }
    }
    for (const choice of choices) {
      const form = { ...DEFAULT_FORM, ...choice };
      const refused = Object.keys(refusalsOf(choice)).length > 0;
      const { name: _, size: __, backingFile, ...rest } = form;
      const backing = backingFile === '' ? {} : { backingFile, backingFormat: 'qcow2' };
      const made = Qcow2Image.create(bufferDevice(), { ...rest, ...backing, size: 2 ** 20 });
      const outcome = await made.then(
        () => false,
        (error: unknown) => error instanceof TypeError,
      );
      expect(refused, JSON.stringify(choice)).toBe(outcome);
    }
  });
});
