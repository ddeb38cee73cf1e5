/** Makes unique labels for files that may have the same name, such as files of two folders. */
import { formatSize } from '../engine/size.js';

const DATES = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/**
 * The label of each file: its name, and, if another of them or of `others` has the same name, what distinguishes it. No
 * two labels are equal.
 */
export function fileLabels(files: readonly File[], others: readonly { readonly name: string }[]): string[] {
  const all = [...files, ...others];
  const words = files.map((file) => {
    const { name, size, lastModified } = file;
    if (!all.some((other) => other !== file && other.name === name)) return name;
    return `${name} (${formatSize(size)}, changed ${DATES.format(lastModified)})`;
  });
  return words.map((label, index) => {
    const same = words.flatMap((other, at) => (other === label ? [at] : []));
    return same.length > 1 ? `${label}, number ${same.indexOf(index) + 1}` : label;
  });
}
