/** Says in a message which callbacks a call has. */
import type { SalvageOptions } from 'qcow2';
import type { WireExportOptions, WireReports } from '../protocol/messages.js';

/** The callbacks among the options, as they are sent. */
export function wireReports({ onProgress, onLost }: Pick<SalvageOptions, 'onProgress' | 'onLost'>): WireReports {
  return { progress: onProgress !== undefined, lost: onLost !== undefined };
}

/** The options of an export, as they are sent. */
export function wireExport(options: SalvageOptions): WireExportOptions {
  return { salvage: options.salvage ?? false, reports: wireReports(options) };
}
