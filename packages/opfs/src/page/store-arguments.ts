/** Checks the options of a store's methods, and of exports, by the engine's rules. */
import {
  checkedBudgets,
  planOf,
  refuse,
  requireAutoCompact,
  requireKind,
  requireOneOf,
  requireOptions,
} from 'qcow2/internal';
import type { StoreCreateOptions, StoreOpenOptions } from '../protocol/remote-file.js';
import { isOf } from '../protocol/shape.js';

/** @throws TypeError for an option of the wrong type; RangeError for an invalid cache budget */
export function requireOpening(options: StoreOpenOptions): void {
  checkedBudgets(options);
  const { mode = 'read', lock = 'fail' } = options;
  requireOneOf('mode', mode, ['read', 'readwrite', 'repair']);
  requireOneOf('lock', lock, ['fail', 'wait']);
  requireAutoCompact(options.autoCompact);
}

/**
 * @throws TypeError for an option of the wrong type, for options that exclude each other, and for a data file;
 *   RangeError for an invalid value
 */
export function requireCreation(options: StoreCreateOptions): void {
  const { dataFile } = planOf(options);
  checkedBudgets(options);
  if (dataFile === undefined) return;
  throw new TypeError(
    'A store keeps no data files: use Qcow2Image.create of the package qcow2 on devices of your own.',
  );
}

/** @throws TypeError for an option of the wrong type, and for another format than these */
export function requireExport(options: object, formats: readonly string[]): void {
  requireKind('options', options, 'an object');
  requireOptions(options);
  const { format, salvage } = options as { readonly format?: unknown; readonly salvage?: unknown };
  requireOneOf('format', format, formats);
  if (format === 'qcow2' && salvage) {
    throw new TypeError("The format 'qcow2' is the image's file unchanged, damage included. Use 'raw' with `salvage`.");
  }
}

/** @throws TypeError when `to`, the file to write, is no handle of a file */
export function requireTarget(to: unknown): void {
  if (!isOf(to, 'FileSystemFileHandle')) refuse('to', 'a FileSystemFileHandle', to);
}
