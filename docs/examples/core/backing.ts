/** Backing files: an example of the README of `qcow2`, run by a test. */
// #region example
import { basename, dirname, join } from 'node:path';
import { type ImageReference, Qcow2Image } from 'qcow2';
import { fileSource } from 'qcow2/node';

/** Opens an image for `use`, with its backing files, which must lie in the same folder: an image may name any file. */
export async function withChain<T>(path: string, use: (image: Qcow2Image) => Promise<T>): Promise<T> {
  const resolve = async ({ name }: ImageReference) => fileSource(join(dirname(path), basename(name)));
  const file = fileSource(path);
  try {
    const image = await Qcow2Image.open(file, { resolve });
    try {
      return await use(image);
    } finally {
      await image.close(); // and the backing files
    }
  } finally {
    file.close?.();
  }
}
// #endregion
