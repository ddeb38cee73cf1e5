/** Encodes a whole header: the inverse of `header.ts` (spec: "Header"). */
import { setBits64, setUint64, viewOf } from './bytes.js';
import { type Header, MAGIC } from './header.js';

/** Encodes a header in `headerLength` bytes: the inverse of {@link decodeHeader}. */
export function encodeHeader(header: Header): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(header.headerLength);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC);
  view.setUint32(4, header.version);
  setUint64(view, 8, header.backingFileOffset);
  view.setUint32(16, header.backingFileSize);
  view.setUint32(20, header.clusterBits);
  setUint64(view, 24, header.size);
  view.setUint32(32, header.cryptMethod);
  view.setUint32(36, header.l1Size);
  setUint64(view, 40, header.l1TableOffset);
  setUint64(view, 48, header.refcountTableOffset);
  view.setUint32(56, header.refcountTableClusters);
  view.setUint32(60, header.snapshotCount);
  setUint64(view, 64, header.snapshotsOffset);
  if (header.version === 2) return bytes;
  setBits64(view, 72, header.incompatibleFeatures);
  setBits64(view, 80, header.compatibleFeatures);
  setBits64(view, 88, header.autoclearFeatures);
  view.setUint32(96, header.refcountOrder);
  view.setUint32(100, header.headerLength);
  if (header.headerLength > 104) view.setUint8(104, header.compressionType);
  bytes.set(header.unknownFields, header.headerLength - header.unknownFields.length);
  return bytes;
}
