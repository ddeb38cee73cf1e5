/** The feature name table, by which an image names the features that it uses (spec: "Feature name table"). */

import type { FeatureName } from './extensions.js';
import { decodeName } from './names.js';

/** A feature name: its kind, its bit, and 46 bytes of text. */
export const FEATURE_NAME_BYTES = 48;

/** The feature name table as a list; a last entry that is cut short is left out. */
export function decodeFeatureNames(data: Uint8Array): FeatureName[] {
  const names: FeatureName[] = [];
  for (let at = 0; at + FEATURE_NAME_BYTES <= data.length; at += FEATURE_NAME_BYTES) {
    const name = decodeName(data.subarray(at + 2, at + FEATURE_NAME_BYTES));
    names.push({ kind: data[at]!, bit: data[at + 1]!, name });
  }
  return names;
}
