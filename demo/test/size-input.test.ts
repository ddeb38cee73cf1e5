import { describe, expect, it } from 'vitest';
import { parseSize } from '../src/ui/size-input.js';

describe('a size that was typed', () => {
  it.each([
    ['1', 1],
    ['65536', 65536],
    ['1,048,576', 2 ** 20],
    ['512 bytes', 512],
    ['512B', 512],
    ['4k', 4096],
    ['512M', 512 * 2 ** 20],
    ['512 MiB', 512 * 2 ** 20],
    ['  10G ', 10 * 2 ** 30],
    ['1.5g', 1.5 * 2 ** 30],
    ['0.001K', 2],
    ['2T', 2 * 2 ** 40],
    ['7P', 7 * 2 ** 50],
  ])('understands "%s" as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toEqual({ bytes });
  });

  it.each([
    ['', 'Say how large'],
    ['  ', 'Say how large'],
    ['big', '"big" is not a size'],
    ['-1G', 'is not a size'],
    ['1e9', 'is not a size'],
    ['0', 'at least 1 byte'],
    ['1.5', 'no fraction of a byte'],
    ['1,5G', 'with a point'],
    ['1.2.3G', 'with a point'],
    ['10GB', '"GB" can mean two sizes. Write G or GiB'],
    ['10 elephants', '"elephants" is not a unit'],
    ['8P', 'too large'],
    ['99E', 'too large'],
  ])('refuses "%s" in words', (text, words) => {
    expect(parseSize(text)).toEqual({ refusal: expect.stringContaining(words) });
  });
});
