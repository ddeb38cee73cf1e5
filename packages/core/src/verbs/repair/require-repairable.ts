/** What a repair refuses before it writes anything. */

import { extensionsEnd, readFirstCluster } from '../../engine/layer/metadata.js';
import { readBytes } from '../../engine/layer/read-bytes.js';
import { Qcow2Error } from '../../errors.js';
import { alignUp, hex, viewOf } from '../../format/bytes.js';
import { CRYPTO_POINTER_BYTES, cryptoHeaderPlace } from '../../format/crypto-header.js';
import { l2TableOffset } from '../../format/entries.js';
import { decodeExtensions, EXTENSION, findExtension } from '../../format/extensions.js';
import { geometryOfHeader } from '../../format/geometry.js';
import { CRYPT_METHOD, decodeHeader, type Header } from '../../format/header.js';
import { isLuks, LUKS_HEADER_BYTES, luksPayloadOffset } from '../../format/luks.js';
import { validateFeatures, validateLayout, validateTables } from '../../format/validate.js';
import type { Medium } from './medium.js';

/**
 * Refuses an image whose features are unknown, whose active L1 table cannot be at its place, or whose LUKS header is
 * not where its extension says: what a repair frees there could be the only key.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`; what the medium throws; the signal's reason.
 */
export async function requireRepairable(medium: Medium, signal: AbortSignal | undefined): Promise<void> {
  const bytes = await readFirstCluster(medium, signal);
  const header = decodeHeader(bytes);
  validateLayout(header);
  validateFeatures(header, []);
  const geometry = geometryOfHeader(header);
  // The other fields are those that a repair corrects.
  const others = {
    refcountOrder: 4,
    refcountTableOffset: 0,
    refcountTableClusters: 1,
    snapshotsOffset: 0,
    snapshotCount: 0,
  };
  validateTables({ ...header, ...others }, geometry, medium.size);
  if (header.l1Size > 0 && header.l1TableOffset === 0) {
    const message = 'The active L1 table is at offset 0, where the header is.';
    throw new Qcow2Error('corrupt', message, { what: 'l1_table_offset', at: 40 });
  }
  if (header.cryptMethod === CRYPT_METHOD.luks) await requireLuks(medium, header, bytes, signal);
}

async function requireLuks(
  medium: Medium,
  header: Header,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const pointer = findExtension(
    decodeExtensions(bytes, header.headerLength, extensionsEnd(header)),
    EXTENSION.cryptoHeader,
  );
  const refuse = (how: string): never => {
    const message = `The extension for the LUKS header ${how}: what is freed in a repair could be the only key.`;
    throw new Qcow2Error('corrupt', message, { what: 'encryption header pointer', at: pointer?.offset ?? 32 });
  };
  if (pointer === undefined) return refuse('is missing');
  if (pointer.data.length !== CRYPTO_POINTER_BYTES) return refuse(`is ${pointer.data.length} bytes long`);
  const { at, length } = cryptoHeaderPlace(pointer);
  const { clusterBits, l1TableOffset, l1Size, refcountTableOffset } = header;
  const end = at + length;
  const clusterSize = 2 ** clusterBits;
  if (at === 0 || at % clusterSize !== 0 || end > medium.size) return refuse(`leads to ${hex(at)}, ${length} bytes`);
  const luks = await readBytes(medium, at, LUKS_HEADER_BYTES, signal);
  if (!isLuks(luks)) return refuse(`leads to ${hex(at)}, which is none`);
  // In a qcow2 file LUKS's own field is the length of its header and key material (docs/interop/qcow2.txt).
  const needed = luksPayloadOffset(luks);
  if (alignUp(length, clusterSize) !== alignUp(needed, clusterSize)) {
    return refuse(`has ${length} bytes, but LUKS says ${needed}`);
  }
  const l1 = viewOf(await readBytes(medium, l1TableOffset, l1Size * 8, signal));
  const tables = Array.from({ length: l1Size }, (_, index) => l2TableOffset(l1, index));
  const others = [refcountTableOffset, l1TableOffset, ...tables];
  const other = others.find((offset) => offset >= at && offset < end);
  if (other !== undefined) refuse(`covers the table at ${hex(other)}`);
}
