/** Formats amounts of bytes and shares of a whole for the user. */

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const GROUPED = new Intl.NumberFormat('en-US');

/** A count with its thousands grouped: `1,610,612,736`. */
export function formatCount(count: number): string {
  return GROUPED.format(count);
}

/** A count with its noun: `1 cluster`, `2 clusters`. */
export function formatNumberOf(count: number, singular: string, plural: string = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}

/** Bytes in the largest binary unit that keeps at least one, to three digits: `1.5 GiB`, `512 bytes`. */
export function formatSize(bytes: number): string {
  let unit = 0;
  let value = bytes;
  // The next unit begins where rounding to three digits would reach it: 1023.9 MiB is written as 1 GiB, not as 1024
  // MiB.
  while (unit < UNITS.length - 1 && rounded(value, unit) >= 1024) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return formatNumberOf(bytes, 'byte');
  return `${formatCount(rounded(value, unit))} ${UNITS[unit]}`;
}

function rounded(value: number, unit: number): number {
  if (unit === 0 || value >= 100) return Math.round(value);
  return value >= 10 ? Math.round(value * 10) / 10 : Math.round(value * 100) / 100;
}

/** Both forms, where the exact figure matters: `1.5 GiB (1,610,612,736 bytes)`. */
export function formatExactSize(bytes: number): string {
  return bytes < 1024 ? formatSize(bytes) : `${formatSize(bytes)} (${formatCount(bytes)} bytes)`;
}

/** An offset as in format documentation: `0x50000`. */
export function formatOffset(bytes: number): string {
  return `0x${bytes.toString(16)}`;
}

/** A share of a whole. Never rounds a small part to nothing, or a large part to all: `37%`, `<0.1%`, `>99.9%`. */
export function formatShare(part: number, whole: number): string {
  if (part <= 0 || whole <= 0) return '0%';
  if (part >= whole) return '100%';
  const percent = (part / whole) * 100;
  if (percent < 0.1) return '<0.1%';
  if (percent > 99.9) return '>99.9%';
  if (percent < 10 || percent > 99) return `${(Math.round(percent * 10) / 10).toString()}%`;
  return `${Math.round(percent)}%`;
}
