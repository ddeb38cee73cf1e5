/** Owns the comparison with `qemu-img check`: what it says of a file, and our report in its words. */
import type { CheckReport } from '../../src/index.js';
import { runTool } from './run-tool.js';

/** The figures of `qemu-img check --output=json` that are compared; null when it gives up without a report. */
export interface QemuFigures {
  readonly corruptions: number;
  readonly leaks: number;
  readonly checkErrors: number;
  readonly imageEndOffset: number;
  readonly totalClusters: number;
  readonly allocatedClusters: number;
  readonly fragmentedClusters: number;
  readonly compressedClusters: number;
}

/** What `qemu-img check` says of a file in `folder`; `run` starts it. */
export function qemuChecks(
  folder: string,
  file: string,
  args: readonly string[] = ['-f', 'qcow2', file],
  run: typeof runTool = runTool,
): QemuFigures | null {
  const { out } = run('qemu-img', ['check', '--output=json', ...args], folder);
  if (!out.startsWith('{')) return null;
  const json = JSON.parse(out);
  return {
    corruptions: json.corruptions ?? 0,
    leaks: json.leaks ?? 0,
    checkErrors: json['check-errors'],
    imageEndOffset: json['image-end-offset'] ?? 0,
    totalClusters: json['total-clusters'] ?? 0,
    allocatedClusters: json['allocated-clusters'] ?? 0,
    fragmentedClusters: json['fragmented-clusters'] ?? 0,
    compressedClusters: json['compressed-clusters'] ?? 0,
  };
}

/** Our report, the figures of QEMU's alone. */
export function asQemuChecks({ extra: _, findings: __, ...figures }: CheckReport): QemuFigures {
  return figures;
}

/** The sum of what the findings of one kind count. */
export function countOf({ findings }: CheckReport, kind: CheckReport['findings'][number]['kind']): number {
  return findings.filter((finding) => finding.kind === kind).reduce((sum, { count }) => sum + count, 0);
}
