/** Progress callbacks that throw: whichever report it is, the call rejects with that error and has left nothing. */
import type { Progress } from 'qcow2';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { longFile, scatteredImage } from './support/images.js';
import { clearStorage, packageFiles, targetFile } from './support/opfs.js';
import { drain, errorOf } from './support/outcomes.js';

let store: Store;
beforeEach(async () => {
  await clearStorage();
  store = await openStore();
});
afterEach(() => store.close());
afterAll(clearStorage);

type OnProgress = (progress: Progress) => void;

/** Does something, with a callback, that makes `left` when it succeeds. */
interface Verb {
  readonly run: (onProgress: OnProgress) => Promise<unknown>;
  /** The files that are there before, and after a failure. */
  readonly before: readonly string[];
  /** Looks whether anything else was left. */
  readonly after?: () => Promise<void>;
}

/** Long enough for several reports. MiB. */
const LONG = 24;
/** As long, in extents. */
const scattered = scatteredImage(20_000).file;

const verbs: Record<string, () => Promise<Verb>> = {
  'import of a Blob': async () => {
    const file = await longFile(LONG);
    return { run: (onProgress) => store.import('disk', file, { onProgress }), before: [] };
  },
  'import of a stream': async () => {
    const file = await longFile(LONG);
    return { run: (onProgress) => store.import('disk', file.stream(), { onProgress }), before: [] };
  },
  create: async () => ({
    // Tables of 40 MiB. Its name must be free again, and nobody hold it.
    run: (onProgress) =>
      store.create('disk', { size: 2 ** 31, clusterSize: 512, preallocation: 'metadata', onProgress }),
    before: [],
    after: async () => {
      await (await store.create('disk', { size: 512 })).close();
      await store.remove('disk');
    },
  }),
  'temporary export of a stored image': async () => {
    await store.import('disk', await longFile(LONG));
    return { run: (onProgress) => store.temporaryExport('disk', { format: 'qcow2', onProgress }), before: ['disk'] };
  },
  'temporary export of an open image': async () => {
    const image = await store.openFile(scattered);
    return { run: (onProgress) => image.temporaryExport({ format: 'raw', onProgress }), before: [] };
  },
  'export of a stored image': async () => {
    await store.import('disk', await longFile(LONG));
    const to = await targetFile('before');
    return {
      run: (onProgress) => store.export('disk', { format: 'qcow2', to, onProgress }),
      before: ['disk'],
      after: async () => {
        expect((await to.getFile()).size).toBe(0);
        // It is held no more.
        await store.rename('disk', 'other');
        await store.rename('other', 'disk');
      },
    };
  },
  'export of an open image': async () => {
    const image = await store.openFile(scattered);
    const to = await targetFile('before');
    return {
      run: (onProgress) => image.export({ format: 'raw', to, onProgress }),
      before: [],
      after: async () => expect((await to.getFile()).size).toBe(0),
    };
  },
  'export as a stream': async () => {
    await store.import('disk', await longFile(LONG));
    return {
      run: async (onProgress) => drain(await store.export('disk', { format: 'qcow2', onProgress })),
      before: ['disk'],
      after: async () => {
        await store.rename('disk', 'other');
        await store.rename('other', 'disk');
      },
    };
  },
  check: async () => {
    const image = await store.openFile(scattered);
    return { run: (onProgress) => image.check({ onProgress }), before: [] };
  },
  map: async () => {
    const image = await store.openFile(scattered);
    const run = async (onProgress: OnProgress): Promise<void> => {
      for await (const _ of image.map(undefined, { onProgress }));
    };
    return { run, before: [] };
  },
};

describe.each(Object.keys(verbs))('%s', (name) => {
  test.each(['first', 'middle', 'last'] as const)('at the %s report', async (which) => {
    const { run, before, after } = await verbs[name]!();
    const mine = new Error(`thrown at the ${which} report`);
    const seen: number[] = [];
    const error = await errorOf(
      run(({ done, total }) => {
        seen.push(done);
        const ended = done === total || (total === Number.POSITIVE_INFINITY && done > LONG * 2 ** 20);
        if (which === 'first' || ended || (which === 'middle' && seen.length === 2)) throw mine;
      }),
    );
    expect(error).toBe(mine);
    expect(await packageFiles()).toEqual(before);
    await after?.();
    expect(await packageFiles()).toEqual(before);
    expect(seen.length).toBeGreaterThan(0);
  });
});
