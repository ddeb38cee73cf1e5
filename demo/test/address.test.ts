import { describe, expect, it } from 'vitest';
import { fileNameAt, linkedAddress, parseAddress, siblingOf } from '../src/engine/address.js';

function typed(text: string): string {
  const address = parseAddress(text);
  return 'url' in address ? address.url.href : address.refusal;
}

describe('addresses', () => {
  it('are read as typed, https where no scheme is', () => {
    expect(typed(' http://localhost:8080/a.qcow2 ')).toBe('http://localhost:8080/a.qcow2');
    expect(typed('example.org/disks/a b.qcow2?key=1')).toBe('https://example.org/disks/a%20b.qcow2?key=1');
    expect(typed('localhost:8080/a.qcow2')).toBe('https://localhost:8080/a.qcow2');
  });

  it('are refused where nothing can be fetched', () => {
    expect(typed('  ')).toBe('Type the address of an image.');
    expect(typed('https://')).toBe('That is not an address.');
    expect(typed('ftp://example.org/a.qcow2')).toContain('and this one with ftp:');
    expect(typed('blob:https://example.org/1')).toContain('and this one with blob:');
    expect(typed('https://me:secret@example.org/a')).toContain('a name or a password');
  });

  it('name a file by the last part of the path', () => {
    expect(fileNameAt(new URL('https://example.org/disks/a%20b.qcow2?key=1'))).toBe('a b.qcow2');
    expect(fileNameAt(new URL('https://example.org/50%.qcow2'))).toBe('50%.qcow2');
    expect(fileNameAt(new URL('https://example.org:81/'))).toBe('example.org:81');
  });

  it('resolve the files that an image names, on the same server only', () => {
    const leaf = new URL('https://example.org/disks/leaf.qcow2?key=1');
    const sibling = (name: string): string | undefined => siblingOf(name, leaf)?.href;
    expect(sibling('base #1?.raw')).toBe('https://example.org/disks/base%20%231%3F.raw');
    expect(sibling('../base.raw')).toBe('https://example.org/base.raw');
    expect(sibling('/var/base.raw')).toBe('https://example.org/var/base.raw');
    expect(sibling('https://example.org/base.raw?key=2')).toBe('https://example.org/base.raw?key=2');
    expect(sibling('https://elsewhere.org/base.raw')).toBeUndefined();
    expect(sibling('//elsewhere.org/base.raw')).toBeUndefined();
    expect(sibling('http://example.org/base.raw')).toBeUndefined();
    expect(sibling('json:{"file.filename":"base.raw"}')).toBeUndefined();
    expect(sibling('file:base.raw')).toBeUndefined();
    expect(siblingOf('leaf.qcow2', new URL('https://example.org/leaf.qcow2'))).toBeNull();
  });

  it('are read from a link to the page', () => {
    expect(linkedAddress(`#url=${encodeURIComponent('https://example.org/a?b=1&c')}`)).toBe(
      'https://example.org/a?b=1&c',
    );
    expect(linkedAddress('#other')).toBe('');
    expect(linkedAddress('')).toBe('');
  });
});
