/** Compares the header extensions with each other and with the autoclear bits. */
import { EXTENSION, extensionName, findExtension, type HeaderExtension } from '../../../format/extensions.js';
import { AUTOCLEAR } from '../../../format/header.js';
import type { CheckContext } from '../check-context.js';

/** Offset of `autoclear_features` in the header, bytes. */
const AUTOCLEAR_AT = 88;

/** Reports extensions of one type, and a bitmaps bit without bitmaps. */
export function checkHeader({ header, findings }: CheckContext, extensions: readonly HeaderExtension[]): void {
  const types = new Set<number>();
  for (const { type, offset } of extensions) {
    if (types.has(type)) {
      const name = extensionName(type) ?? `0x${type.toString(16)}`;
      const message = () => `There is another one of its type, ${name}. The last one counts.`;
      findings.add(
        'extra',
        'duplicate-extension',
        'bookkeeping',
        { what: 'header extension', at: offset - 8 },
        message,
      );
    }
    types.add(type);
  }
  const hasBitmaps = findExtension(extensions, EXTENSION.bitmaps) !== undefined;
  if (hasBitmaps || !header.autoclearFeatures.includes(AUTOCLEAR.bitmaps)) return;
  const message = () => 'The bitmaps bit is set, and there is no bitmaps extension.';
  findings.add('extra', 'autoclear-bits', 'bookkeeping', { what: 'autoclear_features', at: AUTOCLEAR_AT }, message);
}
