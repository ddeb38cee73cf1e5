/** Finds the titles of tests in their files, for the tables that lead to them. */
import { readFileSync } from 'node:fs';

const ROOT = new URL('../../../../', import.meta.url);

/** How a line begins that has the title of a test, or the name of a row of a parametrised one. */
const TITLE = /^(?:(?:describe|test|it)\b|\]+(?: as const)?\)\(|\{? ?(?:name|rule): |\[?['"`]|changed\()/;

/** The lines with titles of a file, which is named from the root of the repository. It must exist. */
export function titleLines(file: string): string[] {
  const lines = readFileSync(new URL(file, ROOT), 'utf8').split('\n');
  return lines.filter((line) => TITLE.test(line.trim()));
}
