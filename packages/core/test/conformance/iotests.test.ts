/** The table of QEMU's iotests leads from each case to a test that exists. */
import { describe, expect, test } from 'vitest';
import { titleLines } from '../support/test-titles.js';
import { CASES, IOTESTS } from './iotests.js';

describe('the table of iotests', () => {
  const covered = CASES.flatMap((entry) => ('test' in entry ? [entry] : []));

  test.each(covered)('$iotest: $case', ({ test: file, name }) => {
    expect(
      titleLines(file).filter((line) => line.includes(name)),
      `${name} in ${file}`,
    ).not.toEqual([]);
  });

  test.each(IOTESTS)('has cases of %s', (iotest) => {
    expect(covered.some((entry) => entry.iotest === iotest)).toBe(true);
  });

  test('has no entry twice', () => {
    const entries = CASES.map((entry) => `${entry.iotest} ${entry.case}`);
    expect(new Set(entries).size).toBe(entries.length);
  });

  test('has a reason for each case without a test', () => {
    for (const entry of CASES) if (!('test' in entry)) expect(entry.why).toMatch(/\.$/);
  });
});
