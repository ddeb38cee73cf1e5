/** Compares a stored image with an available file: an overlay of one must not be used with the other. */
import type { StoredImage } from 'qcow2-opfs';
import { withEngineOnce } from '../engine/engine.js';

/**
 * Whether the image has the same bytes as the file. Throws what the store and reading the file throw; the signal's
 * reason.
 */
export async function hasSameBytes(image: StoredImage, file: File, signal: AbortSignal): Promise<boolean> {
  if (image.fileSize !== file.size) return false;
  const stream = await withEngineOnce((store) => store.export(image.name, { format: 'qcow2', signal }));
  const reader = stream.getReader();
  try {
    let at = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const stored = next.value;
      const own = new Uint8Array(await file.slice(at, at + stored.length).arrayBuffer());
      if (!isEqual(stored, own)) return false;
      at += stored.length;
    }
    return true;
  } finally {
    reader.cancel().catch(() => {});
  }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}
