/** Repairs images by `qemu-img check -r all`, and reads with qemu-img what repaired images hold. */
import { existsSync, rmSync } from 'node:fs';
import type { QemuFolder } from '../support/qemu.js';
import { type QemuFigures, qemuChecks } from '../support/qemu-check.js';
import { runToolLimited } from '../support/run-tool.js';
import type { Clusters } from './what-was-left.js';

const SECTOR = 512;

/** The figures of `qemu-img check`; null when it gives no report. */
export function figuresOf(folder: QemuFolder, file: string): QemuFigures | null {
  return qemuChecks(folder.path, file, ['-f', 'qcow2', file], runToolLimited);
}

/** Runs `qemu-img check -r all` on a file. It may refuse, crash or be ended. */
export function repairByQemu(folder: QemuFolder, file: string): void {
  runToolLimited('qemu-img', ['check', '-q', '-r', 'all', '-f', 'qcow2', file], folder.path);
}

/** The active disk of a file as qemu-img reads it, sector by sector; null when it is refused. */
export function sectorsOf(folder: QemuFolder, file: string): Clusters | null {
  const raw = `${file}.raw`;
  rmSync(folder.at(raw), { force: true });
  const convert = ['convert', '--salvage', '-f', 'qcow2', '-O', 'raw', file, raw];
  const { status, error } = runToolLimited('qemu-img', convert, folder.path);
  if (status !== 0 || !existsSync(folder.at(raw))) return null;
  const bytes = folder.get(raw);
  const sectors: (Uint8Array | null)[] = [];
  for (let at = 0; at < bytes.length; at += SECTOR) sectors.push(bytes.subarray(at, at + SECTOR));
  for (const [, at] of error.matchAll(/error while reading offset (\d+)/g)) sectors[Number(at) / SECTOR] = null;
  return sectors;
}
