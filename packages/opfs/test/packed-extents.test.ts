/** The packed form of extents: packing and unpacking are inverse, for every combination of fields. */
import fc from 'fast-check';
import type { Extent } from 'qcow2';
import { expect, test } from 'vitest';
import { packExtents, unpackExtents } from '../src/protocol/packed-extents.js';

const extent = fc
  .record(
    {
      start: fc.maxSafeNat(),
      length: fc.maxSafeNat(),
      depth: fc.nat(16),
      present: fc.boolean(),
      zero: fc.boolean(),
      data: fc.boolean(),
      compressed: fc.boolean(),
      offset: fc.maxSafeNat(),
      unreadable: fc.constant(true as const),
    },
    { requiredKeys: ['start', 'length', 'depth', 'present', 'zero', 'data', 'compressed'] },
  )
  .map((fields) => fields as Extent);

test('extents are unchanged by packing and unpacking', () => {
  fc.assert(
    fc.property(fc.array(extent, { maxLength: 50 }), (extents) => {
      expect([...unpackExtents(structuredClone(packExtents(extents)))]).toStrictEqual(extents.map((e) => ({ ...e })));
    }),
    { numRuns: 200 },
  );
});
