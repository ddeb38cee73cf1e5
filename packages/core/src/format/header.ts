/** Decodes the header of versions 2 and 3 (spec: "Header"). */
import { Qcow2Error } from '../errors.js';
import { getBits64, getUint64, viewOf } from './bytes.js';

/** `QFI\xfb`. */
export const MAGIC = 0x514649fb;
/** Length of a version 2 header, and the minimum length of a version 3 header, bytes. */
export const V2_HEADER_LENGTH = 72;
export const V3_HEADER_LENGTH = 104;

/** The known bits of the three feature fields. */
export const INCOMPATIBLE = { dirty: 0, corrupt: 1, dataFile: 2, compressionType: 3, extendedL2: 4 } as const;
export const COMPATIBLE = { lazyRefcounts: 0 } as const;
export const AUTOCLEAR = { bitmaps: 0, rawDataFile: 1 } as const;

/** `crypt_method`. */
export const CRYPT_METHOD = { none: 0, aes: 1, luks: 2 } as const;
/** `compression_type`. */
export const COMPRESSION_TYPE = { zlib: 0, zstd: 1 } as const;

/** The fields of the header; offsets and sizes in bytes. Bit fields are lists of the bits that are set, ascending. */
export interface Header {
  readonly version: 2 | 3;
  /** 0 when the image has no backing file. */
  readonly backingFileOffset: number;
  readonly backingFileSize: number;
  readonly clusterBits: number;
  readonly size: number;
  readonly cryptMethod: number;
  /** Number of entries in the active L1 table. */
  readonly l1Size: number;
  readonly l1TableOffset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly snapshotCount: number;
  readonly snapshotsOffset: number;
  readonly incompatibleFeatures: readonly number[];
  readonly compatibleFeatures: readonly number[];
  readonly autoclearFeatures: readonly number[];
  readonly refcountOrder: number;
  readonly headerLength: number;
  readonly compressionType: number;
  /** Bytes 105 to `headerLength`: padding or unknown fields, which must be preserved when the header is rewritten. */
  readonly unknownFields: Uint8Array;
}

/** The size of the disk that the guest sees: whole sectors, as in QEMU. Bytes. */
export function diskSizeOf({ size }: Pick<Header, 'size'>): number {
  return size - (size % 512);
}

/** True if the first bytes of a file are those of qcow2, version 2 or later, as QEMU probes. */
export function isQcow2(head: Uint8Array): boolean {
  if (head.length < 8) return false;
  const view = viewOf(head);
  return view.getUint32(0) === MAGIC && view.getUint32(4) >= 2;
}

/**
 * Decodes the header at the start of `bytes`, which contain all of it, or end where the file ends.
 *
 * @throws {@link Qcow2Error} `corrupt` when the file ends inside the header or `header_length` is invalid.
 */
export function decodeHeader(bytes: Uint8Array): Header {
  if (bytes.length < V2_HEADER_LENGTH) throw truncated(V2_HEADER_LENGTH, bytes.length);
  const view = viewOf(bytes);
  const version = view.getUint32(4) === 2 ? 2 : 3;
  const common = {
    version,
    backingFileOffset: getUint64(view, 8),
    backingFileSize: view.getUint32(16),
    clusterBits: view.getUint32(20),
    size: getUint64(view, 24),
    cryptMethod: view.getUint32(32),
    l1Size: view.getUint32(36),
    l1TableOffset: getUint64(view, 40),
    refcountTableOffset: getUint64(view, 48),
    refcountTableClusters: view.getUint32(56),
    snapshotCount: view.getUint32(60),
    snapshotsOffset: getUint64(view, 64),
  } as const;
  if (version === 2) {
    return {
      ...common,
      incompatibleFeatures: [],
      compatibleFeatures: [],
      autoclearFeatures: [],
      refcountOrder: 4,
      headerLength: V2_HEADER_LENGTH,
      compressionType: COMPRESSION_TYPE.zlib,
      unknownFields: new Uint8Array(0),
    };
  }
  if (bytes.length < V3_HEADER_LENGTH) throw truncated(V3_HEADER_LENGTH, bytes.length);
  const headerLength = view.getUint32(100);
  if (headerLength < V3_HEADER_LENGTH) {
    throw new Qcow2Error('corrupt', `The header length is ${headerLength} bytes; version 3 needs at least 104.`, {
      what: 'header_length',
      at: 100,
    });
  }
  if (headerLength > bytes.length) throw truncated(headerLength, bytes.length);
  return {
    ...common,
    incompatibleFeatures: getBits64(view, 72),
    compatibleFeatures: getBits64(view, 80),
    autoclearFeatures: getBits64(view, 88),
    refcountOrder: view.getUint32(96),
    headerLength,
    // The specification: a field at or past header_length is 0.
    compressionType: headerLength > 104 ? view.getUint8(104) : COMPRESSION_TYPE.zlib,
    unknownFields: bytes.slice(Math.min(105, headerLength), headerLength),
  };
}

function truncated(needed: number, have: number): Qcow2Error {
  return new Qcow2Error(
    'corrupt',
    `The file ends inside the header: it needs ${needed} bytes, and the file has ${have}.`,
    {
      what: 'header',
      at: 0,
    },
  );
}
