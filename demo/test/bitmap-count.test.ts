import type { BitmapInfo } from 'qcow2';
import { describe, expect, it } from 'vitest';
import { bitmapWords, isTrusted } from '../src/bitmaps/bitmap-count.js';

const bitmap = (...flags: BitmapInfo['flags'][number][]): BitmapInfo => ({ name: 'b', granularity: 65_536, flags });

describe('words about a bitmap', () => {
  it('say whether it records', () => {
    expect(bitmapWords(bitmap('auto'))).toBe('Recording what is written');
    expect(bitmapWords(bitmap())).toBe('Not recording');
  });

  it('mark a bitmap as invalid if it was not saved, whatever its other flags', () => {
    expect(isTrusted(bitmap('auto', 'in-use'))).toBe(false);
    expect(bitmapWords(bitmap('auto', 'in-use'))).toContain('not to be trusted');
    expect(isTrusted(bitmap('auto', 'extra-data-compatible'))).toBe(true);
  });
});
