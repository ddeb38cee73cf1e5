/** Images on web servers: an example of the README of `qcow2`, run by a test. */
// #region example
import { Qcow2Image } from 'qcow2';

/** Fetches the header, two tables and a cluster, however large the image is. */
export async function bootSector(url: URL): Promise<Uint8Array> {
  // An image may name any address: this one may be based on files of the same server.
  const resolve = async ({ name }: { name: string }) => {
    const base = new URL(name, url);
    return base.origin === url.origin ? base : undefined;
  };
  const image = await Qcow2Image.open(url, { resolve });
  const sector = await image.read(0, 512);
  await image.close(); // and the files that it opened
  return sector;
}
// #endregion
