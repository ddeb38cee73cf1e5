/** Uses of the types that a consumer's compiler must accept, under whatever options it has. */
import { type Disk, type ImageReference, type OpenOptions, Qcow2Image, type Range } from 'qcow2';
import { fileSource } from 'qcow2/node';
import { openStore, type Store, type WorkerImage } from 'qcow2-opfs';
import * as inline from 'qcow2-opfs/inline';

/** Options are passed through without asking whether they are there. */
export async function passThrough(file: File, signal: AbortSignal | undefined, range?: Range): Promise<Disk> {
  const resolve: OpenOptions['resolve'] = async (reference: ImageReference) => (reference.depth > 1 ? undefined : file);
  const image = await Qcow2Image.open(file, { signal, resolve, cache: { l2Bytes: undefined }, mode: undefined });
  for await (const { offset } of image.map(range, { signal })) if (offset === undefined) break;
  return image;
}

/** What streams and buffers come back as is what the platform's own interfaces take. */
export async function toPlatform(disk: Disk): Promise<[Response, Blob]> {
  const bytes = new Uint8Array(512);
  await disk.read(0, bytes);
  return [new Response(disk.readable()), new Blob([bytes])];
}

/** Both kinds of image are disks; a store is disposed of by `await using`. */
export async function both(file: File): Promise<number> {
  await using store: Store = await openStore({ worker: undefined });
  const remote: WorkerImage = await store.openFile(file, { signal: undefined });
  const disks: Disk[] = [remote, await Qcow2Image.open(fileSource('disk.qcow2'))];
  return disks.reduce((sum, disk) => sum + disk.size, 0);
}

/** The two entries take and give the same. */
export const open: typeof openStore = 'OffscreenCanvas' in globalThis ? openStore : inline.openStore;
export const reopened = (store: inline.Store): Store => store;
