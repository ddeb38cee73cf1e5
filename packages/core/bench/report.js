/** Owns the table of results. */

/**
 * One case. `ours` is in seconds; a ratio to a peer is how many times as fast we are, a ratio to the raw calls how many times
 * as long we take.
 *
 * @typedef {object} Result
 * @property {string} where
 * @property {string} name
 * @property {number} ours
 * @property {number} bytes that were read in that time
 * @property {number} reads requests of ours in that time
 * @property {number} calls of the device's `read` in that time
 * @property {number} [transfers] contiguous runs in those calls
 * @property {{ seconds: number, goal?: number }} [peer] the same work by qemu-img
 * @property {{ seconds: number, goal?: number }} [raw] the same bytes by bare device calls
 */

const COLUMNS = [
  'where',
  'case',
  'time',
  'MB/s',
  'reads/s',
  'calls/read',
  'runs/read',
  'x qemu-img',
  'goal',
  'x raw calls',
  'goal',
];

/** @param {number} value */
const short = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

/**
 * @param {number} ratio
 * @param {number | undefined} goal
 * @param {'least' | 'most'} kind
 */
function verdict(ratio, goal, kind) {
  if (goal === undefined) return '';
  const met = kind === 'least' ? ratio >= goal : ratio <= goal;
  return `${kind === 'least' ? '>=' : '<='} ${goal} ${met ? 'met' : 'MISSED'}`;
}

/** @param {Result} result */
function row({ where, name, ours, bytes, reads, calls, transfers, peer, raw }) {
  const faster = peer && peer.seconds / ours;
  const longer = raw && ours / raw.seconds;
  return [
    where,
    name,
    `${short(ours * 1000)} ms`,
    short(bytes / ours / 1e6),
    short(reads / ours),
    short(calls / reads),
    transfers === undefined ? '' : short(transfers / reads),
    faster === undefined ? '' : short(faster),
    faster === undefined ? '' : verdict(faster, peer?.goal, 'least'),
    longer === undefined ? '' : short(longer),
    longer === undefined ? '' : verdict(longer, raw?.goal, 'most'),
  ];
}

/**
 * The results as a table in Markdown.
 *
 * @param {readonly Result[]} results
 */
export function table(results) {
  const rows = [COLUMNS, ...results.map(row)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const lines = rows.map((cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`);
  lines.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  return lines.join('\n');
}
