/** Tests that the totals of a run are those of the reports, and that a file that cannot be loaded is a failure. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readTotals } from '../totals.js';

const folder = mkdtempSync(join(tmpdir(), 'qcow2-totals-'));

afterAll(() => rmSync(folder, { recursive: true }));

function totalsOf(report: object): object {
  const file = join(folder, 'report.json');
  writeFileSync(file, JSON.stringify(report));
  return readTotals(file);
}

/** One file of a vitest report: its status, and the statuses of its tests. */
const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((each) => ({ status: each })),
});

test('vitest: tests are added up over files', () => {
  const testResults = [file('passed', 'passed', 'passed'), file('failed', 'passed', 'failed', 'failed')];
  expect(totalsOf({ testResults })).toEqual({ passed: 3, failed: 2, skipped: 0 });
});

test('vitest: a file that failed without a test is one failure', () => {
  const testResults = [file('passed', 'passed'), file('failed')];
  expect(totalsOf({ testResults })).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test('vitest: a test that neither passed nor failed was skipped', () => {
  const testResults = [file('passed', 'passed', 'pending', 'skipped', 'todo')];
  expect(totalsOf({ testResults })).toEqual({ passed: 1, failed: 0, skipped: 3 });
});

test('Playwright: a flaky test and an error outside the tests are failures', () => {
  const stats = { expected: 5, unexpected: 1, flaky: 1, skipped: 2 };
  expect(totalsOf({ stats, errors: [{ message: 'x' }] })).toEqual({ passed: 5, failed: 3, skipped: 2 });
});

test('a report that was never written counts as zero tests', () => {
  expect(readTotals(join(folder, 'gone.json'))).toEqual({ passed: 0, failed: 0, skipped: 0 });
});
