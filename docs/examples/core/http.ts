/** Images on web servers: an example of the README of `qcow2`, run by a test. */
// #region example
import { httpSource, Qcow2Image } from 'qcow2';

/** Fetches the header, two tables and a cluster, however large the image is. */
export async function bootSector(url: string): Promise<Uint8Array> {
  const source = await httpSource(url); // its size, and by what to notice that the file was replaced
  // A stranger's image may name any address: this one may be based on files of the same server.
  const resolve = async ({ name }: { name: string }) => {
    const base = new URL(name, url);
    return base.origin === new URL(url).origin ? httpSource(base) : undefined;
  };
  const image = await Qcow2Image.open(source, { resolve });
  const sector = new Uint8Array(512);
  await image.read(0, sector);
  await image.close(); // closes what `resolve` answered
  await source.close?.();
  return sector;
}
// #endregion
