/** Names that are given at once, by two workers as by two tabs: no two images come to be based on each other. */
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { overlayImage } from './support/images.js';
import { clearStorage } from './support/opfs.js';
import { codeOf } from './support/outcomes.js';

const SIZE = 2 ** 20;
const ROUNDS = 8;
/** Of what waits for locks. */
const FEW_ROUNDS = 3;

let one: Store;
let other: Store;
beforeEach(async () => {
  await clearStorage();
  [one, other] = await Promise.all([openStore(), openStore()]);
});
afterEach(async () => {
  await Promise.all([one.close(), other.close()]);
});
afterAll(clearStorage);

const over = (name: string): File => overlayImage(name, SIZE).file;

/** Whatever there is goes; a circle would go too. */
async function empty(): Promise<void> {
  for (let left = await one.list(); left.length > 0; left = await one.list()) {
    await Promise.all(left.map(({ name }) => one.remove(name).catch(() => {})));
  }
}

/** Every image can be opened: `corrupt` is what a circle is. */
async function expectNoCircle(): Promise<void> {
  for (const { name } of await one.list()) {
    const image = await one.open(name);
    await image.close();
  }
}

const races: Record<string, () => readonly Promise<unknown>[]> = {
  'two imports': () => [one.import('a', over('b')), other.import('b', over('a'))],
  'two imports in one tab': () => [one.import('a', over('b')), one.import('b', over('a').stream())],
  'three imports': () => [one.import('a', over('b')), other.import('b', over('c')), one.import('c', over('a'))],
  'an import and a creation': () => [
    one.import('a', over('b')),
    other.create('b', { size: SIZE, backingFile: 'a', backingFormat: 'qcow2' }).then((image) => image.close()),
  ],
};

test.each(Object.keys(races))('%s', async (name) => {
  const outcomes = new Set<string>();
  const rounds = name === 'an import and a creation' ? FEW_ROUNDS : ROUNDS;
  for (let round = 0; round < rounds; round++) {
    for (const code of await Promise.all(races[name]!().map(codeOf))) outcomes.add(code.replace(/:.*/s, ''));
    await expectNoCircle();
    await empty();
  }
  expect([...outcomes].filter((code) => !['fulfilled', 'RangeError', 'corrupt', 'locked'].includes(code))).toEqual([]);
});

test('many overlays are imported concurrently', { timeout: 120_000 }, async () => {
  await (await one.create('base', { size: SIZE })).close();
  const names = Array.from({ length: 60 }, (_, i) => `overlay-${i}`);
  const codes = await Promise.all(names.map((name) => codeOf(one.import(name, over('base')))));
  expect(codes.filter((code) => code !== 'fulfilled')).toEqual([]);
  expect((await one.list()).length).toBe(61);
});

test('imports, renames, removals and lists in two workers run concurrently', { timeout: 120_000 }, async () => {
  await (await one.create('base', { size: SIZE })).close();
  const codes: string[] = [];
  const life = async (store: Store, name: string): Promise<void> => {
    codes.push(await codeOf(store.import(name, over('base'))));
    codes.push(await codeOf(store.rename(name, `${name}-renamed`)));
    codes.push(await codeOf(store.list()));
    codes.push(await codeOf(store.remove(`${name}-renamed`)));
  };
  const lives = Array.from({ length: 16 }, (_, i) => life(i % 2 === 0 ? one : other, `overlay-${i}`));
  await Promise.all(lives);
  expect(codes.filter((code) => code !== 'fulfilled')).toEqual([]);
  expect((await one.list()).map(({ name }) => name)).toEqual(['base']);
});

test('an import and a rename', async () => {
  for (let round = 0; round < FEW_ROUNDS; round++) {
    await one.import('x', over('b'));
    await Promise.all([codeOf(one.rename('x', 'a')), codeOf(other.import('b', over('a')))]);
    await expectNoCircle();
    await empty();
  }
});

test('a base is not removed while an overlay of it is created', async () => {
  for (let round = 0; round < FEW_ROUNDS; round++) {
    await (await one.create('base', { size: SIZE })).close();
    const creating = one
      .create('overlay', { size: SIZE, backingFile: 'base', backingFormat: 'qcow2' })
      .then((image) => image.close());
    const [created, removed] = await Promise.all([codeOf(creating), codeOf(other.remove('base'))]);
    const names = (await one.list()).map(({ name }) => name);
    // Whichever came first; the creation says that its base is gone by its chain, the removal that there is an overlay.
    if (removed === 'locked') expect([created, names]).toEqual(['fulfilled', ['base', 'overlay']]);
    await empty();
  }
});
