/** The smallest useful reader: what it weighs is the size that a page pays for reading images. */
import { type Extent, type ImageInfo, type Openable, Qcow2Image } from 'qcow2';

export async function look(file: Openable): Promise<{ info: ImageInfo; map: Extent[]; start: Uint8Array }> {
  const image = await Qcow2Image.open(file);
  const map: Extent[] = [];
  for await (const extent of image.map()) map.push(extent);
  const start = new Uint8Array(512);
  await image.read(0, start);
  await image.close();
  return { info: image.info, map, start };
}
