/** Backing files: an example of the README of `qcow2`, run by a test. */
// #region example
import { basename, dirname, join } from 'node:path';
import { type ImageReference, Qcow2Image } from 'qcow2';
import { fileSource } from 'qcow2/node';

/** Opens an image and its backing files, which must lie in the same folder: an image may name any file. */
export function openChain(path: string): Promise<Qcow2Image> {
  const resolve = async ({ name }: ImageReference) => fileSource(join(dirname(path), basename(name)));
  return Qcow2Image.open(fileSource(path), { resolve });
}
// #endregion
