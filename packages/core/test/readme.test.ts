/** Every code block of the READMEs is a file of docs/examples, which is run here or in a browser. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { eachStoredPart } from '../../../docs/examples/core/allocated.js';
import { withChain } from '../../../docs/examples/core/backing.js';
import { checkImage } from '../../../docs/examples/core/check.js';
import { openKeptShort, shortenFile } from '../../../docs/examples/core/compact.js';
import { checkTables, tablesOf } from '../../../docs/examples/core/dehydrate.js';
import { sha256 } from '../../../docs/examples/core/digest.js';
import { openOrExplain } from '../../../docs/examples/core/errors.js';
import { bootSector } from '../../../docs/examples/core/http.js';
import { describeImage } from '../../../docs/examples/core/inspect.js';
import { repairImage } from '../../../docs/examples/core/repair.js';
import { resizeDisk } from '../../../docs/examples/core/resize.js';
import { salvageDisk } from '../../../docs/examples/core/salvage.js';
import { newestSnapshot } from '../../../docs/examples/core/snapshot.js';
import { rangeSource } from '../../../docs/examples/core/source.js';
import { tryChanges } from '../../../docs/examples/core/try-changes.js';
import { reclaimable } from '../../../docs/examples/core/usage.js';
import { changeDisk, createDisk } from '../../../docs/examples/core/write.js';
import { rawDisk } from '../../../docs/examples/worker.js';
import { fileDevice, fileSource } from '../node/index.js';
import { bufferDevice, Qcow2Image } from '../src/index.js';
import { get, put } from './support/big-endian.js';
import { host } from './support/http/hosted.js';
import { buildImage, type Cell } from './support/image-builder.js';

const root = new URL('../../../', import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), 'utf8');

/** Each README, the folder of its examples, and what it has a reader type. */
const READMES = [
  { readme: 'README.md', folder: 'docs/examples', commands: ['npm start', 'npm test'] },
  { readme: 'packages/core/README.md', folder: 'docs/examples/core', commands: ['npm install qcow2'] },
  { readme: 'packages/opfs/README.md', folder: 'docs/examples/opfs', commands: ['npm install qcow2 qcow2-opfs'] },
];

/** The part of an example that a README shows. */
function exampleOf(path: string): string | undefined {
  return /\/\/ #region example\n(.*?)\/\/ #endregion/s.exec(text(path))?.[1];
}

describe.each(READMES)('$readme', ({ readme, folder, commands }) => {
  const names = readdirSync(new URL(folder, root)).filter((name) => name.endsWith('.ts'));
  const blocks = [...text(readme).matchAll(/^```(.*?)\n(.*?)^```$/gms)].map(([, language, code]) => ({
    language,
    code: code ?? '',
  }));

  it('shows the files of its folder of examples, and no other code', () => {
    const shown = blocks.filter(({ language }) => language !== 'sh');
    expect(shown.map(({ language }) => language)).toEqual(shown.map(() => 'ts'));
    expect(shown.map(({ code }) => code).sort()).toEqual(names.map((name) => exampleOf(`${folder}/${name}`)).sort());
  });

  it('contains only commands that exist', () => {
    const typed = blocks.filter(({ language }) => language === 'sh').flatMap(({ code }) => code.trim().split('\n'));
    expect(typed.map((line) => line.replace(/\s*#.*/, ''))).toEqual(commands);
  });

  it('has no example that no test imports', () => {
    const tests = ['packages/core/test/readme.test.ts', 'packages/opfs/test/readme.browser.test.ts'].map(text).join();
    for (const name of names) expect(tests).toContain(`'../../../${folder}/${name.replace(/ts$/, 'js')}'`);
  });
});

it('lists every error code in the README of qcow2', () => {
  const listed = [...text('packages/core/README.md').matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, code]) => code);
  const [, union = ''] = /type Qcow2ErrorCode =(.*?);\n\n/s.exec(text('packages/core/src/errors.ts')) ?? [];
  const codes = [...union.matchAll(/\| '([a-z0-9-]+)'/g)].map(([, code]) => code);
  expect(codes).not.toEqual([]);
  expect(listed).toEqual(codes);
});

const isLinux = process.platform === 'linux';

/** The files of a folder that this process has open; none where that cannot be asked. */
function filesOpenIn(folder: string): string[] {
  if (!isLinux) return [];
  return readdirSync('/proc/self/fd')
    .flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return []; // closed meanwhile
      }
    })
    .filter((path) => path.startsWith(folder));
}

describe('the examples of qcow2', () => {
  const folder = mkdtempSync(join(tmpdir(), 'qcow2-readme-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const cell = { kind: 'data', bytes: new Uint8Array(65_536).fill(7) } as const;
  const sparse = buildImage({
    size: 4 * 2 ** 20,
    clusters: new Map([
      [1, cell],
      [3, cell],
    ]),
  }).bytes;

  it('describe an image', async () => {
    const said = '4194304 bytes, clusters of 65536, zlib, backing file: none, 0 snapshots';
    expect(await describeImage(new Blob([sparse]))).toBe(said);
    const overlay = buildImage({ backingName: 'base.qcow2', snapshots: [{ id: '1', name: 'a' }] }).bytes;
    expect(await describeImage(new Blob([overlay]))).toMatch(/backing file: base\.qcow2, 1 snapshots$/);
  });

  it('read what is allocated, and no holes', async () => {
    const parts: [number, number][] = [];
    await eachStoredPart(await Qcow2Image.open(sparse), (offset, bytes) => {
      expect(new Set(bytes)).toEqual(new Set([7]));
      parts.push([offset, bytes.length]);
    });
    expect(parts).toEqual([
      [65_536, 65_536],
      [3 * 65_536, 65_536],
    ]);
  });

  it('hash a disk', async () => {
    const path = join(folder, 'hashed.qcow2');
    writeFileSync(path, sparse);
    const guest = new Uint8Array(4 * 2 ** 20);
    for (const at of [1, 3]) guest.set(cell.bytes, at * 65_536);
    expect(await sha256(path)).toBe(createHash('sha256').update(guest).digest('hex'));
  });

  it('create a disk in a file, and change it', async () => {
    const path = join(folder, 'new.qcow2');
    await createDisk(path, new Uint8Array(512).fill(1));
    expect(statSync(path).size).toBeLessThan(2 ** 20);
    await changeDisk(path, 512, new Uint8Array(512).fill(2));
    const file = fileSource(path);
    const image = await Qcow2Image.open(file);
    const into = new Uint8Array(1025);
    await image.read(0, into);
    expect([image.size, into[0], into[511], into[512], into[1023], into[1024]]).toEqual([10 * 2 ** 30, 1, 1, 2, 2, 0]);
    expect(await image.check()).toMatchObject({ corruptions: 0, leaks: 0 });
    await image.close();
    file.close?.();
  });

  it('open a chain in a folder', async () => {
    for (const [name, backingName] of [
      ['base.qcow2', undefined],
      ['top.qcow2', '../elsewhere/base.qcow2'],
    ] as const) {
      const device = fileDevice(join(folder, name), { create: true });
      const plan = backingName ? { backingName } : { clusters: new Map([[0, cell]]) };
      device.write([{ at: 0, bytes: buildImage({ size: 2 ** 20, ...plan }).bytes }]);
      device.close?.();
    }
    const path = join(folder, 'top.qcow2');
    const opened = await withChain(path, async (image) => {
      expect(await image.read(0, 1)).toEqual(new Uint8Array([7]));
      return filesOpenIn(folder).length;
    });
    expect(opened).toBe(isLinux ? 2 : 0);
    expect(filesOpenIn(folder)).toEqual([]);
    await expect(withChain(path, () => Promise.reject(new RangeError()))).rejects.toBeInstanceOf(RangeError);
    writeFileSync(path, 'no image');
    await expect(withChain(path, async () => {})).rejects.toMatchObject({ code: 'not-qcow2' });
    expect(filesOpenIn(folder)).toEqual([]);
  });

  it('stream the newest snapshot, or the disk', async () => {
    const extra = new Uint8Array(16);
    new DataView(extra.buffer).setBigUint64(8, 65_536n);
    const plan = { size: 131_072, clusters: new Map([[0, cell]]) };
    const lengthOf = async (image: Uint8Array) => {
      const stream = await newestSnapshot(await Qcow2Image.open(image));
      return (await new Response(stream as BodyInit).arrayBuffer()).byteLength;
    };
    expect(await lengthOf(buildImage(plan).bytes)).toBe(131_072);
    expect(await lengthOf(buildImage({ ...plan, snapshots: [{ id: '1', name: 'a', extra }] }).bytes)).toBe(65_536);
  });

  it('check an image', async () => {
    const { signal } = new AbortController();
    expect(await checkImage(new Blob([sparse]), signal, () => {})).toEqual({ sound: true, findings: [] });
    const leaking = buildImage({ leaked: 1 }).bytes;
    const { sound, findings } = await checkImage(new Blob([leaking]), signal, () => {});
    expect([sound, findings]).toEqual([false, [expect.stringMatching(/^wasted-space, 1 in all\. cluster at \d+: /)]]);
  });

  it('add up what of a file could be had back', async () => {
    const clusters = new Map<number, Cell>([
      [0, cell],
      [1, { kind: 'data', bytes: new Uint8Array(65_536) }],
    ]);
    const { bytes } = buildImage({ clusters, leaked: 3, snapshots: [{ id: '1', name: 'a' }] });
    expect(await reclaimable(new Blob([bytes]))).toEqual({
      free: 0,
      leaks: 3 * 65_536,
      zeros: 65_536,
      snapshots: [{ name: 'a', exclusive: 65_536 }],
    });
  });

  it('repair an image, if its owner agrees', async () => {
    const image = buildImage({
      clusters: new Map([
        [0, cell],
        [1, cell],
      ]),
    });
    put(image.bytes, image.entryAt(1), 8, get(image.bytes, image.entryAt(0), 8));
    const device = bufferDevice(image.bytes);
    expect(await repairImage(device, async ({ copied }) => copied.length > 1)).toBeNull();
    expect(device.bytes()).toEqual(image.bytes);
    const report = await repairImage(device, async ({ copied }) => copied.length === 1);
    expect(report?.after.findings).toEqual([]);
  });

  it('resize a disk, and lose its end only if that is allowed', async () => {
    const device = bufferDevice(sparse);
    await resizeDisk(device, 8 * 2 ** 20);
    await expect(resizeDisk(device, 2 * 65_536)).rejects.toThrow(RangeError);
    await resizeDisk(device, 2 * 65_536, { shrink: true });
    const image = await Qcow2Image.open(device);
    const bytes = await image.read(0, image.size);
    expect([bytes.length, bytes[65_535], bytes[65_536]]).toEqual([2 * 65_536, 0, 7]);
    expect((await image.check()).findings).toEqual([]);
  });

  it('go back to a snapshot when a change fails, and delete it', async () => {
    const device = bufferDevice(sparse);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    const before = await image.read(0, image.size);
    const failed = new Error('It has failed.');
    const change = async (): Promise<void> => {
      await image.write(0, new Uint8Array(65_536).fill(1));
      throw failed;
    };
    await expect(tryChanges(image, change)).rejects.toBe(failed);
    expect(Buffer.compare(await image.read(0, image.size), before)).toBe(0);
    await tryChanges(image, () => image.write(0, new Uint8Array([9])));
    expect((await image.read(0, 1))[0]).toBe(9);
    expect(image.snapshots).toEqual([]);
    expect((await image.check({ deep: true })).findings).toEqual([]);
    await image.close();
  });

  it('make an image file shorter, while it is open', async () => {
    const zeros = { kind: 'data', bytes: new Uint8Array(65_536) } as const;
    const clusters = new Map<number, Cell>(
      Array.from({ length: 16 }, (_, index) => [index, index < 15 ? zeros : cell]),
    );
    const { bytes } = buildImage({ size: 2 ** 20, clusters });
    const device = bufferDevice(bytes);
    const image = await openKeptShort(device);
    expect(await shortenFile(image, () => {})).toBe(15 * 65_536);
    expect([device.size, (await image.read(15 * 65_536, 1))[0]]).toEqual([bytes.length - 15 * 65_536, 7]);
    await image.close();
  });

  it('read a damaged image', async () => {
    const entry = { kind: 'entry', entry: 512n } as const;
    const clusters = new Map<number, Cell>([
      [0, entry],
      [1, cell],
    ]);
    const { disk, lost } = await salvageDisk(new Blob([buildImage({ size: 131_072, clusters }).bytes]));
    const bytes = new Uint8Array(await new Response(disk as BodyInit).arrayBuffer());
    expect([bytes.length, bytes[0], bytes[65_536]]).toEqual([131_072, 0, 7]);
    expect(lost).toMatchObject([{ start: 0, length: 65_536, code: 'corrupt', what: 'L2 entry' }]);
  });

  it('report a damaged image without its data', async () => {
    const leaking = new Blob([buildImage({ leaked: 1, clusters: new Map([[0, cell]]) }).bytes]);
    const tables = await tablesOf(leaking);
    expect(tables.size).toBeLessThan(2048);
    expect(await checkTables(tables)).toMatchObject({ leaks: 1, corruptions: 0 });
  });

  it('read from a source of the caller’s own', async () => {
    const asked: number[] = [];
    const source = rangeSource(sparse.length, async (start, end) => {
      asked.push(start);
      return sparse.slice(start, end);
    });
    const image = await Qcow2Image.open(source);
    const into = new Uint8Array(2);
    await image.read(65_535, into);
    expect([...into]).toEqual([0, 7]);
    await image.read(65_535, into);
    expect(new Set(asked).size).toBe(asked.length); // each block once
  });

  it('describe what is wrong with a file', async () => {
    expect(await openOrExplain(new Blob([sparse]))).toBeInstanceOf(Qcow2Image);
    expect(await openOrExplain(new Blob(['no image']))).toMatch(/a text file/);
    const cut = sparse.slice(0, 100);
    expect(await openOrExplain(new Blob([cut]))).toMatch(/^header.* at byte \d+: /);
    await expect(openOrExplain('disk.qcow2' as unknown as Blob)).rejects.toThrow(TypeError);
  });

  it('read a boot sector from a web server, through a backing file on that server', async () => {
    const base = await host(buildImage({ size: 65_536, clusters: new Map([[0, cell]]) }).bytes);
    const overlay = async (backingName: string) => host(buildImage({ size: 65_536, backingName }).bytes);
    const near = await overlay(new URL(base.url).pathname.split('/').at(-1)!);
    expect(await bootSector(new URL(near.url))).toEqual(new Uint8Array(512).fill(7));
    const elsewhere = await overlay('http://elsewhere.example/base.qcow2');
    await expect(bootSector(new URL(elsewhere.url))).rejects.toMatchObject({ code: 'reference-refused' });
  });

  it('stream a disk through its backing file', async () => {
    const base = buildImage({ size: 131_072, clusters: new Map([[1, cell]]) }).bytes;
    const top = buildImage({ size: 131_072, backingName: 'base.qcow2' }).bytes;
    const stream = await rawDisk([new File([top], 'top.qcow2'), new File([base], 'base.qcow2')]);
    const bytes = new Uint8Array(await new Response(stream as BodyInit).arrayBuffer());
    expect([bytes.length, bytes[0], bytes[65_536]]).toEqual([131_072, 0, 7]);
    await expect(rawDisk([new File(['no image'], 'a.txt')])).rejects.toThrow(/Choose another file.*a text file/);
  });
});
