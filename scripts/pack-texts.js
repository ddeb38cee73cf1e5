/**
 * Copies the changelog of the repository into the folder of a package while that is packed, and removes it afterwards:
 * `pnpm pack` runs it there, with `add` before and `remove` after. The license comes by itself.
 */
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.js';

const NAME = 'CHANGELOG.md';
const [verb] = process.argv.slice(2);
if (verb === 'add') copyFileSync(join(root, NAME), NAME);
else if (verb === 'remove') rmSync(NAME, { force: true });
else throw new Error(`The argument is add or remove, not ${verb}.`);
