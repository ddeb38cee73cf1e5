/** What the set-up tells the tests, which run in processes of their own: the application and the image in it. */

/** Guest bytes of the image: more than one L2 table's worth of clusters, and no multiple of a cluster. */
export const GUEST_BYTES = 5 * 1024 * 1024 + 512;

const VARIABLE = 'QCOW2_PACKED_APP';

/** The application's folder, and the SHA-256 of the guest bytes of the image that it serves. */
export interface SharedApp {
  readonly app: string;
  readonly sha256: string;
}

/** Leaves it to the processes of the tests. */
export function share(shared: SharedApp): void {
  process.env[VARIABLE] = JSON.stringify(shared);
}

/** What the set-up shared. */
export function sharedApp(): SharedApp {
  const shared = process.env[VARIABLE];
  if (shared === undefined)
    throw new Error('These tests run with e2e/packed/playwright.config.ts, whose set-up makes their application.');
  return JSON.parse(shared) as SharedApp;
}
