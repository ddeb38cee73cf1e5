/** Decodes the feature name table, which contains the names of feature bits (spec: "Feature name table"). */

import type { FeatureName } from './extensions.js';
import { decodeName } from './names.js';

/** Length of an entry: its kind, its bit, and 46 bytes of name. */
export const FEATURE_NAME_BYTES = 48;

/** Decodes the feature name table. A truncated last entry is ignored. */
export function decodeFeatureNames(data: Uint8Array): FeatureName[] {
  const names: FeatureName[] = [];
  for (let at = 0; at + FEATURE_NAME_BYTES <= data.length; at += FEATURE_NAME_BYTES) {
    const name = decodeName(data.subarray(at + 2, at + FEATURE_NAME_BYTES));
    names.push({ kind: data[at]!, bit: data[at + 1]!, name });
  }
  return names;
}
