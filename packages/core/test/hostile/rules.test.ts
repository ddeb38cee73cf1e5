/**
 * Every rule and limit of the format, broken alone: refused with its code, and with the structure and its offset in
 * `details`.
 */
import { describe, expect, test } from 'vitest';
import { mappingRules, writerRules } from './entry-rules.js';
import { errorOf } from './operation.js';
import { type BrokenRule, extensionRules, headerRules, snapshotRules } from './rules.js';

const groups: readonly [string, readonly BrokenRule[]][] = [
  ['header', headerRules],
  ['extensions and bitmaps', extensionRules],
  ['snapshots', snapshotRules],
  ['mapping', mappingRules],
  ['writing', writerRules],
];

describe.each(groups)('%s', (_, rules) => {
  test.each(rules)('$rule', async ({ file, operation: ask, code, what, at }) => {
    const { code: got, details, message } = await errorOf(file(), ask);
    expect({ code: got, what: details.what, at: details.at }, message).toEqual({ code, what, at });
  });
});
