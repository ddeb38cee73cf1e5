/** The verbs that a reader of images seldom calls. Each loads its module with its first call. */
import type { CheckOptions, CheckReport } from '../api/check-report.js';
import type { DigestOptions, HashAlgorithm } from '../api/hash.js';
import type { CompactReport, SparsifyReport } from '../api/info.js';
import type { OperationOptions, ResizeOptions } from '../api/options.js';
import type { Usage } from '../api/usage.js';
import type { Qcow2Layer } from '../engine/layer/layer.js';
import { requireInside } from '../engine/mapping/guest-range.js';
import type { OpenedImage } from './open/open.js';
import type { Writing } from './open/opening.js';

/** As `Disk.check`. */
export async function check(image: OpenedImage, options: CheckOptions | undefined): Promise<CheckReport> {
  const verb = await import('./check/check.js');
  return verb.checkImage(image, options);
}

/** As `Disk.usage`. */
export async function usage(image: OpenedImage, options: OperationOptions | undefined): Promise<Usage> {
  const verb = await import('./usage/usage.js');
  return verb.imageUsage(image, options);
}

/** As `Disk.digest`. `alive` throws when the image is no longer open. */
export async function digest(
  layer: Qcow2Layer,
  algorithm: HashAlgorithm,
  alive: () => void,
  options: DigestOptions | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const verb = await import('./digest.js');
  return verb.digestDisk(layer, algorithm, alive, options);
}

/** As `Disk.seekData`, or with `zero` as `Disk.seekHole`. */
export async function seek(
  layer: Qcow2Layer,
  offset: number,
  zero: boolean,
  alive: () => void,
): Promise<number | undefined> {
  requireInside(offset, 0, layer.size);
  const verb = await import('./seek.js');
  return verb.seek(layer, offset, zero, alive);
}

/** As `Disk.resize`. */
export async function resize({ writer }: Writing, size: number, options: ResizeOptions | undefined): Promise<void> {
  const verb = await import('./resize/resize.js');
  return verb.resizeDisk(writer, size, options);
}

/** As `Disk.sparsify`. */
export async function sparsify({ writer }: Writing, options: OperationOptions | undefined): Promise<SparsifyReport> {
  const verb = await import('./sparsify/sparsify.js');
  return verb.sparsifyDisk(writer, options);
}

/** As `Disk.compact`. */
export async function compact({ writer }: Writing, options: OperationOptions | undefined): Promise<CompactReport> {
  const verb = await import('./compact/compact.js');
  return verb.compactImage(writer, options);
}
