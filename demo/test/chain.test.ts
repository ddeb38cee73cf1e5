import type { ImageReference } from 'qcow2';
import { baseName } from 'qcow2-opfs';
import { describe, expect, it } from 'vitest';
import { answersTo, arrange, FileSet } from '../src/chain.js';

const file = (name: string): File => new File([], name);

function reference(name: string): ImageReference {
  return { kind: 'backing', name, writable: false, parent: null, depth: 1 };
}

describe('names', () => {
  it.each([
    ['base.qcow2', 'base.qcow2'],
    ['/images/base.qcow2', 'base.qcow2'],
    ['C:\\images\\base.qcow2', 'base.qcow2'],
    ['file:base.qcow2', 'base.qcow2'],
    ['https://host/images/base.qcow2', 'base.qcow2'],
    ['json:{"driver":"qcow2","file":{"driver":"file","filename":"dir/base.qcow2"}}', 'base.qcow2'],
    ['json:{"driver":"qcow2","file.filename":"base.qcow2"}', 'base.qcow2'],
    ['json:oops', 'json:oops'],
  ])('takes %s for %s', (name, base) => {
    expect(baseName(name)).toBe(base);
  });

  it('compares accents however they are encoded', () => {
    expect(answersTo(file('u\u0308ber.qcow2'), 'dir/\u00fcber.qcow2')).toBe(true);
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

  it('opens the image that nobody names, in whatever order they come', () => {
    expect(arrange([members.base, members.leaf, members.middle])).toEqual({ leaf, unused: [] });
    expect(arrange([members.middle, members.base, members.leaf])).toEqual({ leaf, unused: [] });
  });

  it('says what it did not use', () => {
    expect(arrange([members.leaf, members.other, members.middle])).toEqual({ leaf, unused: [other] });
  });

  it('ends when images name each other', () => {
    const one = { file: file('one'), needs: ['two'] };
    const two = { file: file('two'), needs: ['one'] };
    expect(arrange([one, two])).toEqual({ leaf: one.file, unused: [] });
  });

  it('opens what there is when none of it is an image', () => {
    expect(arrange([members.base]).leaf).toBe(base);
  });
});

describe('a set of files', () => {
  it('answers by name, but never with the image itself', () => {
    const leaf = file('disk.qcow2');
    const base = file('disk.qcow2');
    expect(new FileSet([leaf]).resolve(reference('base/disk.qcow2'), leaf)).toBeNull();
    expect(new FileSet([leaf, base]).resolve(reference('base/disk.qcow2'), leaf)).toBe(base);
  });

  it('prefers the file that a person chose for the name', () => {
    const leaf = file('disk.qcow2');
    const renamed = file('base (1).qcow2');
    expect(new FileSet([leaf]).choosing('dir/base.qcow2', renamed).resolve(reference('dir/base.qcow2'), leaf)).toBe(
      renamed,
    );
  });
});
