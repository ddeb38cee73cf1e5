/**
 * The products of features: they are what their names say, and the table in docs/durability.md says which there are.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { Qcow2Image } from '../../src/index.js';
import { get } from '../support/big-endian.js';
import { numbers } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuJudges } from '../support/qemu-judges.js';
import { CrashWalk } from './crash-states.js';
import { Oracle } from './oracle.js';
import { EXCLUDED, excluded, FEATURES, PRODUCT_KINDS, type ProductKind } from './products.js';
import { record } from './workloads.js';

const folder = new QemuFolder('products');
/** Those that QEMU repairs: one in three, or all. */
const lazy = PRODUCT_KINDS.filter(({ features }) => features.has('lazy refcounts')).filter((_, index) =>
  qemuJudges(index, 3),
);

/** The kinds with their whole names, for titles. */
function named(kinds: readonly ProductKind[]): (readonly [string, ProductKind])[] {
  return kinds.map((kind) => [kind.name, kind]);
}

/** The table of pairs as it stands in the documentation. */
function pairTable(): string {
  const cell = (one: string, other: string, index: number, column: number): string => {
    if (index === column) return '';
    const there = PRODUCT_KINDS.some(({ features }) =>
      [one, other].every((name) => [...features].includes(name as never)),
    );
    return there ? 'yes' : excluded(one as never, other as never)!;
  };
  const rows = FEATURES.map((one, index) => [one, ...FEATURES.map((other, column) => cell(one, other, index, column))]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`.replaceAll('  ', ' ');
  return [line(['', ...FEATURES]), line(['---', ...FEATURES.map(() => '---')]), ...rows.map(line)].join('\n');
}

describe('the products of features', () => {
  it('contain every pair that is not excluded, as the documentation says', () => {
    const docs = readFileSync(new URL('../../../../docs/durability.md', import.meta.url), 'utf8');
    expect(docs.replace(/[^\S\n]+/g, ' ')).toContain(pairTable());
    for (const [, , why] of EXCLUDED) expect(docs).toContain(`*${why}*`);
    expect(docs).toContain(`${PRODUCT_KINDS.length} kinds`);
  });

  test.each(named(PRODUCT_KINDS))(
    '%s: QEMU finds no errors at the start, and the features are present',
    async (_, kind) => {
      const start = await kind.make();
      putFiles(start.image, start.data, start.backing);
      const { status, out, error } = folder.tryImg('check', '-f', 'qcow2', 'image.qcow2');
      // 3: leaked clusters, which fill the file of those whose refcount table is to grow.
      expect(status, out + error).toBe(kind.features.has('a growing refcount table') ? 3 : 0);
      const resolve = async (file: { kind: string }) =>
        (file.kind === 'data' ? start.data : start.backing) ?? undefined;
      const { info } = await Qcow2Image.open(start.image, { resolve });
      expect(info.lazyRefcounts).toBe(kind.features.has('lazy refcounts'));
      expect(info.version).toBe(kind.features.has('v2') ? 2 : 3);
      const { log } = await record(kind, 1);
      const [device] = log.devices;
      const header = new Uint8Array(104);
      device!.read([{ at: 0, bytes: header }]);
      expect(get(header, 48, 8) !== get(start.image, 48, 8)).toBe(kind.features.has('a growing refcount table'));
    },
  );

  test.each(named(lazy))(
    '%s: QEMU repairs the image after a power cut, and reads the flushed data',
    async (_, kind) => {
      const recording = await record(kind, 2);
      const { log, start, timeline } = recording;
      const next = numbers(7);
      const walk = new CrashWalk(log);
      while (walk.position < log.entries.length * 0.7) walk.step();
      const oracle = new Oracle(start.guest, timeline);
      oracle.advance(walk.position);
      await walk.crashed(walk.choose(next()), async (sources) => {
        const [image, data] = sources.map((source) => {
          const bytes = new Uint8Array(source.size);
          source.read([{ at: 0, bytes }]);
          return bytes;
        });
        putFiles(image!, data ?? null, start.backing);
        const repair = folder.tryImg('check', '-q', '-r', 'all', '-f', 'qcow2', 'image.qcow2');
        expect([0, 3], repair.out + repair.error).toContain(repair.status);
        expect(oracle.judge(0, folder.raw('image.qcow2').subarray(0, start.guest.length))).toBe(null);
      });
    },
  );
});

function putFiles(image: Uint8Array, data: Uint8Array | null, backing: Uint8Array | null): void {
  folder.put('image.qcow2', image);
  if (data !== null) folder.put('data', data);
  if (backing !== null) folder.put('base', backing);
}
