/** Opens the store that the tests of a file share. */
import { afterAll, beforeAll } from 'vitest';
import { openStore, type Store } from '../../src/index.js';
import { clearStorage } from './opfs.js';

/** Before the tests of the file, opens a store in empty storage for `use`. After them, clears the storage again. */
export function withEmptyStore(use: (store: Store) => void): void {
  let store: Store;
  beforeAll(async () => {
    await clearStorage();
    store = await openStore();
    use(store);
  });
  afterAll(async () => {
    await store.close();
    await clearStorage();
  });
}
