/** The arguments of a verb as they cross: without the signal and the callback, which the call itself stands for. */
import type { OperationOptions } from 'qcow2';
import type { Row } from './verbs.js';

/** Arguments that are ready to cross, and what of them stays on the page. */
export interface SplitArguments {
  readonly args: readonly unknown[];
  readonly options: Pick<OperationOptions, 'signal' | 'onProgress'>;
}

/** Takes the signal and the progress callback out of the options, which come last. What else they hold crosses. */
export function splitArguments(row: Row, given: readonly unknown[]): SplitArguments {
  const args = Array.from({ length: row.arguments }, (_, index) => given[index]);
  if (!row.options) return { args, options: {} };
  const { signal, onProgress, ...rest } = (given[row.arguments] ?? {}) as OperationOptions;
  return { args: [...args, rest], options: { signal, onProgress } };
}

/** The arguments for the engine: those that crossed, with the signal and the callback of the call. */
export function joinArguments(row: Row, { args, options }: SplitArguments): unknown[] {
  if (!row.options) return [...args];
  const { signal, onProgress } = options;
  return [...args.slice(0, row.arguments), { ...(args[row.arguments] as object), signal, onProgress }];
}
