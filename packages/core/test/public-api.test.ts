/** What the packages export, as a snapshot: an export that comes or goes is a decision. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as node from '../node/index.js';
import * as core from '../src/index.js';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

describe('qcow2', () => {
  it('exports these values', () => {
    expect(Object.keys(core).sort()).toEqual([
      'Qcow2Error',
      'Qcow2Image',
      'asyncBufferSource',
      'blobSource',
      'bufferDevice',
      'bufferSource',
      'httpSource',
      'isQcow2Error',
      'pmtilesSource',
      'rehydrate',
      'withCache',
      'withCoalescing',
    ]);
  });

  it('exports these values from qcow2/node', () => {
    expect(Object.keys(node).sort()).toEqual(['fileDevice', 'fileSource', 'nodeHash']);
  });

  it('is one ESM build for every runtime, and its dependencies are recorded', () => {
    expect(Object.keys(manifest.exports)).toEqual(['.', './node', './internal', './package.json']);
    for (const entry of [manifest.exports['.'], manifest.exports['./node'], manifest.exports['./internal']]) {
      expect(Object.keys(entry)).toEqual(['types', 'default']);
    }
    expect(manifest.type).toBe('module');
    expect(manifest.sideEffects).toBe(false);
    expect(Object.keys(manifest.dependencies)).toEqual(['@noble/hashes', 'fflate']);
  });
});
