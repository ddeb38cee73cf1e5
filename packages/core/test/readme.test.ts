/** The README's examples are the files of docs/examples, which other tests run. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bootSector } from '../../../docs/examples/http.js';
import { rawDisk } from '../../../docs/examples/worker.js';
import { Qcow2Image } from '../src/index.js';
import { host } from './support/http/hosted.js';
import { buildImage } from './support/image-builder.js';

const root = new URL('../../../', import.meta.url);
const readme = readFileSync(new URL('README.md', root), 'utf8');
const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1]);

describe('README', () => {
  it.each(['page', 'store', 'worker', 'http'])('shows docs/examples/%s.ts as it is', (name) => {
    const source = readFileSync(new URL(`docs/examples/${name}.ts`, root), 'utf8');
    const example = /\/\/ #region example\n(.*?)\/\/ #endregion/s.exec(source)?.[1];
    expect(blocks).toContain(example);
  });

  it('has no example that is not run', () => {
    expect(blocks).toHaveLength(4);
  });

  it('streams a disk through its backing file, as its third example says', async () => {
    const cell = { kind: 'data', bytes: new Uint8Array(65_536).fill(7) } as const;
    const base = buildImage({ size: 131_072, clusters: new Map([[1, cell]]) }).bytes;
    const top = buildImage({ size: 131_072, backingName: 'base.qcow2' }).bytes;
    const stream = await rawDisk([new File([top], 'top.qcow2'), new File([base], 'base.qcow2')]);
    const bytes = new Uint8Array(await new Response(stream as BodyInit).arrayBuffer());
    expect([bytes.length, bytes[0], bytes[65_536]]).toEqual([131_072, 0, 7]);
    await expect(rawDisk([new File(['no image'], 'a.txt')])).rejects.toThrow(/Choose another file.*a text file/);
    await expect(Qcow2Image.open(new Blob(['no image']))).rejects.toMatchObject({ code: 'not-qcow2' });
  });

  it('reads a boot sector from a web server, through its backing file there, as its third example says', async () => {
    const cell = { kind: 'data', bytes: new Uint8Array(65_536).fill(7) } as const;
    const base = await host(buildImage({ size: 65_536, clusters: new Map([[0, cell]]) }).bytes);
    const overlay = async (backingName: string) => host(buildImage({ size: 65_536, backingName }).bytes);
    const near = await overlay(new URL(base.url).pathname.split('/').at(-1)!);
    expect(await bootSector(near.url)).toEqual(new Uint8Array(512).fill(7));
    const elsewhere = await overlay('http://elsewhere.example/base.qcow2');
    await expect(bootSector(elsewhere.url)).rejects.toMatchObject({ code: 'reference-refused' });
  });
});
