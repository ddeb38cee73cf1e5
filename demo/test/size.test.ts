import { describe, expect, it } from 'vitest';
import {
  formatCount,
  formatExactSize,
  formatNumberOf,
  formatOffset,
  formatShare,
  formatSize,
} from '../src/engine/size.js';

describe('sizes', () => {
  it.each([
    [0, '0 bytes'],
    [1, '1 byte'],
    [1023, '1,023 bytes'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [65536, '64 KiB'],
    [1610612736, '1.5 GiB'],
    [2 ** 30 - 1, '1 GiB'],
    [100 * 2 ** 30, '100 GiB'],
    [12.34 * 2 ** 20, '12.3 MiB'],
    [123.4 * 2 ** 20, '123 MiB'],
    [8 * 2 ** 40, '8 TiB'],
    [2 ** 53, '8 PiB'],
  ])('writes %d bytes as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  it('gives the exact figure beside a rounded one', () => {
    expect(formatExactSize(1610612736)).toBe('1.5 GiB (1,610,612,736 bytes)');
    expect(formatExactSize(512)).toBe('512 bytes');
  });

  it('writes counts and offsets', () => {
    expect(formatCount(1234567)).toBe('1,234,567');
    expect(formatNumberOf(1, 'entry', 'entries')).toBe('1 entry');
    expect(formatNumberOf(2000, 'cluster')).toBe('2,000 clusters');
    expect(formatOffset(0x50000)).toBe('0x50000');
  });
});

describe('shares', () => {
  it.each([
    [0, 10, '0%'],
    [10, 10, '100%'],
    [37, 100, '37%'],
    [1, 100_000, '<0.1%'],
    [99_999, 100_000, '>99.9%'],
    [34, 1000, '3.4%'],
    [995, 1000, '99.5%'],
    [5, 0, '0%'],
  ])('%d of %d is %s', (part, whole, text) => {
    expect(formatShare(part, whole)).toBe(text);
  });
});
