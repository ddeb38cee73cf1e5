/** Tests which lines the check of line lengths finds. */
import { expect, test } from 'vitest';
import { longLines } from '../check-lines.js';

const long = 'x'.repeat(121);

test.each([
  ['a line comment', `const a = 1;\n// ${long}\n`, [2]],
  ['a line of a block comment', `/**\n * short\n * ${long}\n */\n`, [3]],
  ['a block comment in one line', `  /** ${long} */\n`, [1]],
  ['a line of code', `const a = 1;\nconst b = '${long}';\n`, [2]],
  ['no comment of 120 columns', `// ${'x'.repeat(117)}\n`, []],
  ['no code of 120 columns', `const a = '${'x'.repeat(107)}';\n`, []],
  ['no line that is too long only because of a URL', `// See https://example.org/${long}\n`, []],
  ['a line that is too long beside its URL', `// ${long} https://example.org/\n`, [1]],
])('finds %s', (_, text, lines) => {
  expect(longLines(text)).toEqual(lines);
});
