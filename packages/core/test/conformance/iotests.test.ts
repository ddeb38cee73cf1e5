/** The table of QEMU's iotests leads from each case to a test that exists. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CASES, IOTESTS } from './iotests.js';

const ROOT = new URL('../../../../', import.meta.url);

/** How a line begins that has the title of a test, or the name of a row of a parametrised one. */
const TITLE = /^(?:(?:describe|test|it)\b|\]+(?: as const)?\)\(|\{? ?(?:name|rule): |\[?['"`]|changed\()/;

/** The lines of a file that have titles. */
function titleLines(file: string): string[] {
  const lines = readFileSync(new URL(file, ROOT), 'utf8').split('\n');
  return lines.filter((line) => TITLE.test(line.trim()));
}

describe('the table of iotests', () => {
  const covered = CASES.flatMap((entry) => ('test' in entry ? [entry] : []));

  test.each(covered)('$iotest: $case', ({ test: file, name }) => {
    expect(existsSync(new URL(file, ROOT)), file).toBe(true);
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
