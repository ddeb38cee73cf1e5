/** Reads the examples in the doc comments of TypeScript sources: each fenced block after an `@example` tag. */
import { listSources, parseSource } from './source-files.js';

/**
 * @typedef {object} DocExample
 * @property {string} file
 * @property {number} line of the code's first line, counted from 1
 * @property {string} code
 */

/**
 * Returns the examples of all sources below `folder`, in order.
 *
 * @param {string} folder
 * @returns {DocExample[]}
 */
export function readDocExamples(folder) {
  return listSources(folder).flatMap((file) => {
    const { comments, text } = parseSource(folder, file);
    return comments
      .filter(({ type, value }) => type === 'Block' && value.startsWith('*'))
      .flatMap(({ value, start }) => {
        const first = text.slice(0, start).split('\n').length;
        return examplesOf(value).map(({ line, code }) => ({ file, line: first + line, code }));
      });
  });
}

/**
 * @param {string} comment
 * @returns {{ line: number, code: string }[]} `line`: from the comment's first, counted from 0
 */
function examplesOf(comment) {
  const lines = comment.split('\n').map((line) => line.replace(/^ *\* ?/, ''));
  return lines.flatMap((tag, index) => {
    if (!tag.startsWith('@example')) return [];
    const end = lines.indexOf('```', index + 2);
    if (tag !== '@example' || lines[index + 1] !== '```ts' || end === -1) {
      throw new Error(`An @example must be a line of its own, and a fenced block of ts must follow it: ${tag}`);
    }
    return [{ line: index + 2, code: `${lines.slice(index + 2, end).join('\n')}\n` }];
  });
}
