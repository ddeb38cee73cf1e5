/**
 * Copies the repository's changelog into a package's folder while it is packed. `pnpm pack` runs this there, with `add`
 * before and `remove` after. It adds the license itself.
 */
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.js';

const NAME = 'CHANGELOG.md';
const [verb] = process.argv.slice(2);
if (verb === 'add') copyFileSync(join(root, NAME), NAME);
else if (verb === 'remove') rmSync(NAME, { force: true });
else throw new Error(`The argument is add or remove, not ${verb}.`);
