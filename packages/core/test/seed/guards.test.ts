/** The table of the predecessor's faults leads from each to a test that exists. */
import { describe, expect, test } from 'vitest';
import { titleLines } from '../support/test-titles.js';
import { GUARDS } from './guards.js';

describe('the table of faults', () => {
  test.each(GUARDS)('$fault', ({ test: file, name }) => {
    const found = titleLines(file).filter((line) => line.includes(name));
    expect(found, `${name} in ${file}`).not.toEqual([]);
  });
});
