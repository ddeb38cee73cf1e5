/** What files are called that a person dropped together. */
import { describe, expect, it } from 'vitest';
import { fileLabels } from '../src/ui/file-label.js';

const file = (name: string, size = 0, lastModified = 0): File =>
  new File([new Uint8Array(size)], name, { lastModified });
const NOON = Date.UTC(2026, 2, 12, 12);

describe('the labels of files', () => {
  it('are their names', () => {
    expect(fileLabels([file('a'), file('b')], [file('c')])).toEqual(['a', 'b']);
  });

  it('contain size and date for a file with the name of the open file', () => {
    const labels = fileLabels([file('a', 1536, NOON), file('b')], [file('a')]);
    expect(labels).toEqual([expect.stringMatching(/^a \(1\.5 KiB, changed 12 Mar 2026, \d\d:00:00\)$/), 'b']);
  });

  it('are unique', () => {
    const labels = fileLabels([file('a', 5, NOON), file('a', 6, NOON), file('a', 5, NOON)], []);
    expect(new Set(labels).size).toBe(3);
    expect(labels[0]).toMatch(/^a \(5 bytes, .*\), number 1$/);
    expect(labels[2]).toMatch(/, number 2$/);
  });
});
