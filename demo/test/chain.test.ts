import type { ImageReference } from 'qcow2';
import { describe, expect, it } from 'vitest';
import { arrange, FileSet, hasName, shortName } from '../src/image/chain.js';

const file = (name: string): File => new File([], name);

function reference(name: string): ImageReference {
  return { kind: 'backing', name, writable: false, depth: 1 };
}

describe('names', () => {
  it.each([
    ['base.qcow2', 'base.qcow2'],
    ['/images/base.qcow2', 'base.qcow2'],
    ['json:{"driver":"qcow2","file.filename":"base.qcow2"}', 'base.qcow2'],
    ['json:oops', 'json:oops'],
    // What a description asks for beside a file is shown as it stands.
    [
      'json:{"driver":"raw","offset":512,"file.filename":"base.raw"}',
      'json:{"driver":"raw","offset":512,"file.filename":"base.raw"}',
    ],
  ])('shortens %s to %s', (name, short) => {
    expect(shortName(name)).toBe(short);
  });

  it('compares accents however they are encoded', () => {
    expect(hasName(file('u\u0308ber.qcow2'), 'dir/\u00fcber.qcow2')).toBe(true);
  });
});

describe('arranging files', () => {
  const [base, middle, leaf, other] = ['base.raw', 'middle.qcow2', 'leaf.qcow2', 'other.qcow2'].map(file);
  const members = {
    base: { file: base!, needs: null },
    middle: { file: middle!, needs: ['base.raw'] },
    leaf: { file: leaf!, needs: ['../x/middle.qcow2'] },
    other: { file: other!, needs: [] },
  };

  it('opens the image that no other one names, in any order', () => {
    expect(arrange([members.base, members.leaf, members.middle])).toEqual({ leaf, unused: [] });
    expect(arrange([members.middle, members.base, members.leaf])).toEqual({ leaf, unused: [] });
  });

  it('lists the unused files', () => {
    expect(arrange([members.leaf, members.other, members.middle])).toEqual({ leaf, unused: [other] });
  });

  it('ends for images that name each other', () => {
    const one = { file: file('one'), needs: ['two'] };
    const two = { file: file('two'), needs: ['one'] };
    expect(arrange([one, two])).toEqual({ leaf: one.file, unused: [] });
  });

  it('opens the first file when none is an image', () => {
    expect(arrange([members.base]).leaf).toBe(base);
  });
});

describe('a description with options', () => {
  const described = 'json:{"driver":"raw","offset":1048576,"file":{"driver":"file","filename":"base.raw"}}';
  const base = file('base.raw');
  const leaf = file('leaf.qcow2');

  it('is refused with the name of the option, also when a file was chosen for it', () => {
    for (const files of [new FileSet([leaf, base]), new FileSet([leaf]).choosing(described, base)]) {
      const refused = expect.objectContaining({
        code: 'unsupported',
        details: expect.objectContaining({ option: 'offset' }),
      });
      expect(() => files.resolve(reference(described), leaf)).toThrow(refused);
    }
  });

  it('gives the format where the image does not', () => {
    const name = 'json:{"driver":"raw","file":{"driver":"file","filename":"base.raw"}}';
    const files = new FileSet([leaf, base]);
    expect(files.resolve(reference(name), leaf)).toEqual({ source: base, format: 'raw' });
    expect(files.resolve({ ...reference(name), format: 'qcow2' }, leaf)).toBe(base);
  });
});

describe('a set of files', () => {
  it('finds a file by name, but never the image itself', () => {
    const leaf = file('disk.qcow2');
    const base = file('disk.qcow2');
    expect(new FileSet([leaf]).resolve(reference('base/disk.qcow2'), leaf)).toBeUndefined();
    expect(new FileSet([leaf, base]).resolve(reference('base/disk.qcow2'), leaf)).toBe(base);
  });

  it('prefers the file that the user chose for the name', () => {
    const leaf = file('disk.qcow2');
    const renamed = file('base (1).qcow2');
    expect(new FileSet([leaf]).choosing('dir/base.qcow2', renamed).resolve(reference('dir/base.qcow2'), leaf)).toBe(
      renamed,
    );
  });
});
