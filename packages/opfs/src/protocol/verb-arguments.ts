/**
 * Splits the arguments of a verb for sending: the signal and the callbacks stay on the page, and the call carries them.
 */
import type { SalvageOptions } from 'qcow2';
import type { Row } from './verbs.js';

/** What a row says of sending arguments. */
type SentRow = Pick<Row, 'arguments' | 'options' | 'salvage'>;

/** Arguments to send, and those that stay on the page. */
export interface SplitArguments {
  readonly args: readonly unknown[];
  readonly options: Pick<SalvageOptions, 'signal' | 'onProgress' | 'onLost'>;
}

/**
 * Removes the signal and the callbacks from the options, the last argument. The other options are sent.
 *
 * @throws TypeError when another option is a function: the worker cannot call it.
 */
export function splitArguments(row: SentRow, given: readonly unknown[]): SplitArguments {
  const args = Array.from({ length: row.arguments }, (_, index) => given[index]);
  if (!row.options) return { args, options: {} };
  const { signal, onProgress, onLost, ...rest } = (given[row.arguments] ?? {}) as SalvageOptions;
  for (const [name, value] of Object.entries(row.salvage ? rest : { onLost, ...rest })) {
    if (typeof value === 'function') throw new TypeError(`The option "${name}" is a function: no worker can call it.`);
  }
  return { args: [...args, rest], options: { signal, onProgress, onLost } };
}

/** The arguments for the engine: those sent, with the signal and the callbacks of the call. */
export function joinArguments(row: SentRow, { args, options }: SplitArguments): unknown[] {
  if (!row.options) return [...args];
  return [...args.slice(0, row.arguments), { ...(args[row.arguments] as object), ...options }];
}
