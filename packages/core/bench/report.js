/** Formats the results as a table. */

/**
 * The result of one case. Times are in seconds, by round. A ratio to the peer is the peer's time divided by ours; a
 * ratio to the raw calls is our time divided by theirs.
 *
 * @typedef {object} Result
 * @property {string} where
 * @property {string} name
 * @property {readonly number[]} ours
 * @property {number} bytes that were read or written in that time
 * @property {number} reads requests of ours in that time, writes where it writes
 * @property {number} calls of the device's `read`, or `write`, in that time
 * @property {number} [transfers] contiguous runs in those calls
 * @property {{ seconds: readonly number[], goal?: number }} [peer] the same work by qemu-img
 * @property {{ seconds: readonly number[], goal?: number }} [raw] the same bytes by bare device calls
 */

const COLUMNS = [
  'where',
  'case',
  'time',
  'MB/s',
  'requests/s',
  'calls/request',
  'runs/request',
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

/**
 * @param {readonly number[]} values
 * @returns {number}
 */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Formats the ratio of two times: the median over the rounds, whose two turns ran under the same load, and in brackets
 * the ratio of the best turns, which is closer to that on an idle machine.
 *
 * @param {readonly number[]} slow
 * @param {readonly number[]} fast
 */
function compare(slow, fast) {
  const typical = median(slow.map((seconds, round) => seconds / fast[round]));
  const best = Math.min(...slow) / Math.min(...fast);
  return { typical, text: `${short(typical)} (${short(best)})` };
}

/** @param {Result} result */
function row({ where, name, ours, bytes, reads, calls, transfers, peer, raw }) {
  const time = median(ours);
  const faster = peer && compare(peer.seconds, ours);
  const longer = raw && compare(ours, raw.seconds);
  return [
    where,
    name,
    `${short(time * 1000)} ms`,
    short(bytes / time / 1e6),
    short(reads / time),
    short(calls / reads),
    transfers === undefined ? '' : short(transfers / reads),
    faster?.text ?? '',
    faster ? verdict(faster.typical, peer?.goal, 'least') : '',
    longer?.text ?? '',
    longer ? verdict(longer.typical, raw?.goal, 'most') : '',
  ];
}

/**
 * Formats the results as a table in Markdown.
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
