/** Tests which lines the check of line lengths finds. */
import { expect, test } from 'vitest';
import { longLines } from '../check-lines.js';

const long = 'x'.repeat(121);

test.each([
  ['a line comment', `const a = 1;\n// ${long}\n`, [2]],
  ['a line of a block comment', `/**\n * short\n * ${long}\n */\n`, [3]],
  ['a block comment in one line', `  /** ${long} */\n`, [1]],
  ['code, which is the formatter\u2019s', `const a = '${long}';\n`, []],
  ['a comment of 120 columns', `// ${'x'.repeat(117)}\n`, []],
])('%s', (_, text, lines) => {
  expect(longLines(text)).toEqual(lines);
});
