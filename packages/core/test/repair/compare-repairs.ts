/** Decides which of two repairs of an image is better: that of `qemu-img check -r all`, or ours. */
import { statSync } from 'node:fs';
import {
  type BlockDevice,
  bufferDevice,
  bufferSource,
  type CheckReport,
  isQcow2Error,
  type RepairReport,
} from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { get } from '../support/big-endian.js';
import type { QemuFolder } from '../support/qemu.js';
import type { QemuFigures } from '../support/qemu-check.js';
import { figuresOf, repairByQemu, sectorsOf } from './qemu-repair.js';
import { type Clusters, type Files, lossAt, snapshotsOf } from './what-was-left.js';

/**
 * `agree`: both repairs end with clean images that read the same. `better`: QEMU's does not, or keeps less. `worse`:
 * ours does not, or keeps less. `neither`: neither repairs it: both refuse the image, or qemu-img opens none like it.
 */
export type Verdict = 'agree' | 'better' | 'worse' | 'neither';

/** What is compared of two checks before any repair. */
export interface Checks {
  /** Null when qemu-img gives no report. */
  readonly qemu: QemuFigures | null;
  /** Null when the image is refused. */
  readonly own: CheckReport | null;
}

/** A sector, a cluster of a snapshot, or a snapshot, that QEMU's repair keeps and ours does not. */
export interface KeptByQemu {
  readonly where: string;
  /** What our report says of the loss, if anything. */
  readonly said: string | null;
  /** Why our repair dropped structures. */
  readonly dropped: readonly string[];
  /** It could be read before the repairs. */
  readonly wasReadable: boolean;
}

/** Where ours may do less than QEMU's. */
export interface Expected {
  loss(kept: KeptByQemu): boolean;
  /** By the message of our error. */
  refusal(message: string): boolean;
}

/** What came of the repairs of one image. */
export interface Comparison {
  readonly checks: Checks;
  readonly verdict: Verdict;
  readonly reason: string;
}

/** The longest disk, and the longest file, that is read, bytes. */
const MAX_BYTES = 2 ** 26;

type Figures = Pick<QemuFigures, 'corruptions' | 'leaks' | 'checkErrors'>;

const isClean = (figures: Figures | null): boolean =>
  figures !== null && figures.corruptions + figures.leaks + figures.checkErrors === 0;

/** The figures that are compared, in words. */
export function inWords(figures: Figures | null): string {
  if (figures === null) return 'no report';
  return `${figures.corruptions} corruptions, ${figures.leaks} leaks, ${figures.checkErrors} check errors`;
}

/** Type of the header extension that leads to the encryption header. */
const ENCRYPTION_HEADER = Buffer.from('0537be77', 'hex');

/** True if qemu-img opens an image only with a key, or never: it has an encryption header and is not encrypted. */
function isEncrypted(bytes: Uint8Array): boolean {
  return get(bytes, 32, 4) !== 0n || Buffer.from(bytes).includes(ENCRYPTION_HEADER);
}

/** Our check; null for an image that is refused. */
async function checkOf(bytes: Uint8Array): Promise<CheckReport | null> {
  try {
    return (await checkSource(bufferSource(bytes))).report;
  } catch (error) {
    if (isQcow2Error(error, 'corrupt', 'unsupported', 'not-qcow2')) return null;
    throw error;
  }
}

/** Our repair; the message of the error for an image that is refused. */
async function repairedOrRefused(device: BlockDevice): Promise<RepairReport | string> {
  try {
    return await repairDevice(device, { fix: 'all' });
  } catch (error) {
    if (isQcow2Error(error, 'corrupt', 'unsupported', 'not-qcow2')) return error.message;
    throw error;
  }
}

/**
 * Repairs copies of an image, ours and QEMU's, and compares them. `files` stand in `folder`. What is `expected`
 * does not count.
 */
export async function compareRepairs(
  folder: QemuFolder,
  bytes: Uint8Array,
  files: Files,
  expected: Expected,
): Promise<Comparison> {
  folder.put('before', bytes);
  const checks = { qemu: figuresOf(folder, 'before'), own: await checkOf(bytes) };

  folder.put('theirs', bytes);
  repairByQemu(folder, 'theirs');
  const theirs = figuresOf(folder, 'theirs');
  const device = bufferDevice(bytes);
  const report = await repairedOrRefused(device);
  if (typeof report === 'string') {
    if (Buffer.compare(device.bytes(), bytes) !== 0) {
      return { checks, verdict: 'worse', reason: `Refused after changes: ${report}` };
    }
    return { checks, verdict: isClean(theirs) && !expected.refusal(report) ? 'worse' : 'neither', reason: report };
  }
  folder.put('ours', device.bytes());
  const ours = figuresOf(folder, 'ours');
  if (report.after.findings.length > 0 || !isClean(ours)) {
    const reason = `Ours leaves ${inWords(report.after)}; of qemu-img: ${inWords(ours)}`;
    const isBoth = theirs === null && ours === null && isEncrypted(bytes);
    return { checks, verdict: isBoth ? 'neither' : 'worse', reason };
  }

  const disks = await compareDisks(folder, bytes, report, files);
  const lost = disks.keptByQemu.filter((kept) => !expected.loss(kept));
  // In an image that QEMU leaves corrupt no byte is safe: what ours loses must only be said.
  const bad = isClean(theirs) ? lost[0] : lost.find(({ said }) => said === null);
  if (bad !== undefined) return { checks, verdict: 'worse', reason: `QEMU keeps ${JSON.stringify(bad)}` };
  if (!isClean(theirs)) return { checks, verdict: 'better', reason: `QEMU leaves ${inWords(theirs)}` };
  if (disks.keptByOurs.length > 0) return { checks, verdict: 'better', reason: `QEMU loses ${disks.keptByOurs[0]}` };
  return { checks, verdict: 'agree', reason: '' };
}

/** What one repair keeps and the other does not. */
interface Disks {
  readonly keptByOurs: string[];
  readonly keptByQemu: KeptByQemu[];
}

/** Compares the disks after both repairs, piece by piece, with what could be read before. */
async function compareDisks(folder: QemuFolder, bytes: Uint8Array, report: RepairReport, files: Files): Promise<Disks> {
  const found: Disks = { keptByOurs: [], keptByQemu: [] };
  if (get(bytes, 24, 8) <= MAX_BYTES) {
    const [theirs, ours] = [sectorsOf(folder, 'theirs') ?? [], sectorsOf(folder, 'ours') ?? []];
    comparePieces(found, () => sectorsOf(folder, 'before') ?? [], theirs, ours, report);
  }
  if (statSync(folder.at('theirs')).size > MAX_BYTES) return found;
  const before = await snapshotsOf(bytes, files);
  const theirs = await snapshotsOf(folder.get('theirs'), files);
  const ours = await snapshotsOf(folder.get('ours'), files);
  const dropped = report.dropped.map(({ reason }) => reason);
  for (const [id, clusters] of theirs) {
    const own = ours.get(id);
    if (own !== undefined) {
      comparePieces(found, () => before.get(id) ?? [], clusters, own, report, id);
      continue;
    }
    const said = report.dropped.find(({ kind }) => kind === 'snapshot')?.reason ?? null;
    found.keptByQemu.push({ where: `snapshot "${id}"`, said, dropped, wasReadable: before.has(id) });
  }
  for (const id of ours.keys()) if (!theirs.has(id)) found.keptByOurs.push(`snapshot "${id}"`);
  return found;
}

const isSame = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === null || b === null ? a === b : Buffer.compare(a, b) === 0;

function comparePieces(
  found: Disks,
  before: () => Clusters,
  theirs: Clusters,
  ours: Clusters,
  report: RepairReport,
  snapshot?: string,
): void {
  const indexes = Array.from({ length: Math.max(theirs.length, ours.length) }, (_, index) => index);
  const pieceOf = (pieces: Clusters, index: number): Uint8Array | null => pieces[index] ?? null;
  const different = indexes.filter((index) => !isSame(pieceOf(theirs, index), pieceOf(ours, index)));
  if (different.length === 0) return;
  const old = before();
  const size = [...theirs, ...ours].find((piece) => piece !== null)?.length ?? 1;
  const dropped = report.dropped.map(({ reason }) => reason);
  for (const index of different) {
    const [was, qemu, own] = [pieceOf(old, index), pieceOf(theirs, index), pieceOf(ours, index)];
    const where = `byte ${index * size}${snapshot === undefined ? '' : ` of snapshot "${snapshot}"`}`;
    if (own !== null && (qemu === null || isSame(was, own))) {
      found.keptByOurs.push(where);
      continue;
    }
    found.keptByQemu.push({
      where,
      said: lossAt(report, index, size, snapshot)?.reason ?? null,
      dropped,
      wasReadable: was !== null,
    });
  }
}
