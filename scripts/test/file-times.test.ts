/** Shows that the times of test files are those of the reports. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readFileTimes, slowest } from '../file-times.js';
import { root } from '../run.js';

const folder = mkdtempSync(join(tmpdir(), 'qcow2-file-times-'));

afterAll(() => rmSync(folder, { recursive: true }));

function timesOf(report: object): object {
  const file = join(folder, 'report.json');
  writeFileSync(file, JSON.stringify(report));
  return readFileTimes(file);
}

test('vitest: each file from its start to its end', () => {
  const testResults = [{ name: `${root}packages/a.test.ts`, startTime: 1000, endTime: 3500 }];
  expect(timesOf({ testResults })).toEqual([{ name: 'packages/a.test.ts', seconds: 2.5 }]);
});

test('Playwright: the tests of a file are added up, in each browser', () => {
  const spec = (...tests: [projectName: string, ...durations: number[]][]) => ({
    tests: tests.map(([projectName, ...durations]) => ({
      projectName,
      results: durations.map((duration) => ({ duration })),
    })),
  });
  const described = { file: 'a.spec.ts', specs: [spec(['chromium', 1000, 500])] };
  const suite = { file: 'a.spec.ts', specs: [spec(['chromium', 2000], ['firefox', 4000])], suites: [described] };
  expect(timesOf({ stats: {}, suites: [suite] })).toEqual([
    { name: 'a.spec.ts (chromium)', seconds: 3.5 },
    { name: 'a.spec.ts (firefox)', seconds: 4 },
  ]);
});

test('a report that was never written has no times', () => {
  expect(readFileTimes(join(folder, 'gone.json'))).toEqual([]);
});

test('the slowest come first', () => {
  const times = [1, 3, 2].map((seconds) => ({ name: `${seconds}`, seconds }));
  expect(slowest(times, 2).map(({ name }) => name)).toEqual(['3', '2']);
});
