/** What the package exports, as a snapshot: an export that comes or goes is a decision. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as modular from '../src/index.js';
import * as inline from '../src/inline.js';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

describe('qcow2-opfs', () => {
  it('exports these values', () => {
    expect(Object.keys(modular).sort()).toEqual(['baseName', 'namedFile', 'openStore']);
  });

  it('exports the same from qcow2-opfs/inline, with another openStore', () => {
    expect(Object.keys(inline)).toEqual(Object.keys(modular));
    expect(inline.openStore).not.toBe(modular.openStore);
    // The same types: what one takes and gives, the other does.
    const same: typeof modular.openStore = inline.openStore;
    expect(same).toBe(inline.openStore);
  });

  it('has these entries, and its dependencies are recorded', () => {
    expect(Object.keys(manifest.exports)).toEqual(['.', './inline', './worker', './package.json']);
    for (const entry of ['.', './inline', './worker']) {
      expect(Object.keys(manifest.exports[entry])).toEqual(['types', 'default']);
    }
    expect(Object.keys(manifest.dependencies).sort()).toEqual(['comlink', 'qcow2']);
  });
});
