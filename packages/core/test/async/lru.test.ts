/** The cache by last use. */
import { describe, expect, it } from 'vitest';
import { Lru } from '../../src/engine/async/lru.js';

describe('Lru', () => {
  it('evicts the least recently used value', () => {
    const lru = new Lru<string, number>(2);
    lru.set('a', 1);
    lru.set('b', 2);
    expect(lru.get('a')).toBe(1);
    lru.set('c', 3);
    expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([1, undefined, 3]);
  });

  it('counts setting a value again as use, and evicts no other', () => {
    const lru = new Lru<string, number>(2);
    lru.set('a', 1);
    lru.set('b', 2);
    lru.set('a', 3);
    expect([lru.has('a'), lru.has('b')]).toEqual([true, true]);
    lru.set('c', 4);
    expect([lru.get('a'), lru.has('b')]).toEqual([3, false]);
  });

  it('does not count has() as use', () => {
    const lru = new Lru<string, number>(2);
    lru.set('a', 1);
    lru.set('b', 2);
    expect(lru.has('a')).toBe(true);
    lru.set('c', 3);
    expect(lru.has('a')).toBe(false);
  });

  it('keeps at least one value, and none that was deleted or cleared', () => {
    const lru = new Lru<string, number>(0);
    lru.set('a', 1);
    expect(lru.get('a')).toBe(1);
    lru.delete('a');
    expect(lru.get('a')).toBeUndefined();
    lru.set('b', 2);
    lru.clear();
    expect(lru.has('b')).toBe(false);
  });
});
