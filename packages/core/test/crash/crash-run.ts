/** Owns one run over a recording: power is cut at many places, in many ways, and each image is judged. */
import { type ByteSource, Qcow2Image } from '../../src/index.js';
import { numbers } from '../support/numbers.js';
import { type CrashChoice, CrashWalk } from './crash-states.js';
import type { StartDisk } from './disks.js';
import { judge } from './judge.js';
import { Oracle } from './oracle.js';
import type { Recording } from './workloads.js';

/** A crash that left an image which is not as it should be. */
export interface Failure {
  readonly what: string;
  /**
   * How many entries of the log had happened, and the seed of the choice: with the kind and its seed, what to replay.
   */
  readonly position: number;
  readonly choice: number;
  /** The least of the pending sectors that must be missing or old for it to fail so. */
  readonly missing: readonly string[];
}

/**
 * Judges about `crashes` images that power cuts along a recording leave; answers how many, and the first that fails.
 */
export async function crashEverywhere(
  recording: Recording,
  crashes: number,
): Promise<{ judged: number; failure: Failure | null }> {
  const { log, seed } = recording;
  const next = numbers(seed ^ 0x5eed);
  const flushes = log.entries.filter(({ kind }) => kind === 'flush').length;
  const atFlush = crashes / 2 / Math.max(1, flushes);
  const elsewhere = crashes / 2 / Math.max(1, log.entries.length - flushes);
  const walk = new CrashWalk(log);
  const oracle = new Oracle(recording.start.guest, recording.timeline);
  let judged = 0;
  for (; ; walk.step()) {
    const some = Math.floor((walk.next?.kind === 'flush' ? atFlush : elsewhere) + (next() % 1000) / 1000);
    const here = walk.next === undefined ? Math.max(1, some) : some;
    oracle.advance(walk.position);
    // Where nothing is pending there is one state alone.
    for (let i = 0; i < (walk.pendingSectors === 0 ? Math.min(1, here) : here); i++) {
      const choice = next();
      judged++;
      const what = await judgeChoice(recording, walk, oracle, walk.choose(choice), choice);
      if (what === null) continue;
      const missing = await missingFor(recording, walk, oracle, choice);
      return { judged, failure: { what, position: walk.position, choice, missing } };
    }
    if (walk.next === undefined) return { judged, failure: null };
  }
}

/** Judges one crash again. */
export async function replay(recording: Recording, position: number, choice: number): Promise<Failure | null> {
  const walk = new CrashWalk(recording.log);
  const oracle = new Oracle(recording.start.guest, recording.timeline);
  while (walk.position < position) walk.step();
  oracle.advance(position);
  const what = await judgeChoice(recording, walk, oracle, walk.choose(choice), choice);
  if (what === null) return null;
  return { what, position, choice, missing: await missingFor(recording, walk, oracle, choice) };
}

function judgeChoice(
  recording: Recording,
  walk: CrashWalk,
  oracle: Oracle,
  choice: CrashChoice,
  seed: number,
): Promise<string | null> {
  const { image: start, backing, snapshot } = recording.start;
  const { touched } = recording;
  return walk.crashed(choice, (sources) => judge({ sources, backing, start, oracle, snapshot, touched, seed }));
}

/** How many images the search for what it takes may cost: it is for people, and they wait for it. */
const MAX_TRIES = 200;

/**
 * Puts back what the choice left out, in ever smaller parts, as long as it still fails: what remains is what it takes.
 */
async function missingFor(recording: Recording, walk: CrashWalk, oracle: Oracle, seed: number): Promise<string[]> {
  const latest = walk.complete();
  const least = walk.choose(seed).map(({ versions, size }) => ({ versions: new Map(versions), size }));
  const missing = latest.flatMap(({ versions }, device) =>
    [...versions]
      .filter(([sector, version]) => least[device]!.versions.get(sector) !== version)
      .map(([sector]) => ({
        device,
        sector,
        chosen: least[device]!.versions.get(sector)!,
        latest: versions.get(sector)!,
      })),
  );
  for (const [device, mine] of least.entries()) mine.size = Math.max(mine.size, latest[device]!.size);
  let left = missing;
  let tries = 0;
  for (
    let part = Math.ceil(left.length / 2);
    part >= 1 && tries < MAX_TRIES;
    part = part === 1 ? 0 : Math.ceil(part / 2)
  ) {
    for (let from = 0; from < left.length && tries < MAX_TRIES; ) {
      const some = left.slice(from, from + part);
      for (const { device, sector, latest: version } of some) least[device]!.versions.set(sector, version);
      tries++;
      if ((await judgeChoice(recording, walk, oracle, least, seed)) !== null) {
        left = left.filter((one) => !some.includes(one));
        continue;
      }
      for (const { device, sector, chosen } of some) least[device]!.versions.set(sector, chosen);
      from += part;
    }
  }
  return left.map(({ device, sector, chosen, latest: version }) => {
    return `device ${device}: sector ${sector} as version ${chosen}, not ${version}`;
  });
}

/** The longest disk that another workload goes on with, bytes: all of it is kept in memory. */
const MAX_LEFT = 4 * 1024 * 1024;

/**
 * The image that one power cut along a recording leaves, for another workload to go on with; null when it has to be
 * repaired first.
 */
export async function leftOver({ seed, start, log, touched }: Recording): Promise<StartDisk | null> {
  const next = numbers(seed ^ 0x1ef7);
  const walk = new CrashWalk(log);
  for (let position = next() % log.entries.length; position > 0; position--) walk.step();
  return walk.crashed(walk.choose(next()), async (sources) => {
    const [image, data] = await Promise.all(sources.map(bytesOf));
    const resolve = async (reference: { kind: 'backing' | 'data' }) =>
      reference.kind === 'data' ? data : (start.backing ?? undefined);
    const disk = await Qcow2Image.open(image!, { resolve });
    if (disk.info.dirty || disk.size > MAX_LEFT) return null;
    const resized = disk.size !== start.guest.length;
    const guest = resized ? new Uint8Array(disk.size) : start.guest.slice();
    const changed = resized ? [{ offset: 0, length: disk.size }] : touched;
    for (const { offset, length } of changed) {
      // The disk may have been longer meanwhile.
      const start = Math.min(offset, disk.size);
      await disk.read(start, guest.subarray(start, offset + length));
    }
    return { ...start, image: image!, data: data ?? null, guest };
  });
}

async function bytesOf(source: ByteSource): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.size);
  await source.read([{ at: 0, bytes }]);
  return bytes;
}

/** A failure in words, with the way to see it again. */
export function describeFailure({ kind, seed, story }: Recording, failure: Failure): string {
  const { what, position, choice, missing } = failure;
  const before = story.filter((line) => Number.parseInt(line, 10) <= position);
  return [
    `"${kind.name}", workload ${seed}, cut after ${position} entries of the log, choice ${choice}:`,
    what,
    `it takes ${missing.length === 0 ? 'nothing that is missing' : missing.slice(0, 20).join('; ')}`,
    `the last that the guest did:\n  ${before.slice(-12).join('\n  ')}`,
    `replay it: QCOW2_CRASH_REPLAY='${kind.name}/${seed}/${position}/${choice}'`,
  ].join('\n');
}
