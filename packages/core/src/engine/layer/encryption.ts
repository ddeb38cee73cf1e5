/** Describes the encryption of an image without its passphrase, and makes the error that reads throw. */

import type { ByteSource } from '../../api/device.js';
import { isQcow2Error, Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import { CRYPTO_POINTER_BYTES, cryptoHeaderPlace } from '../../format/crypto-header.js';
import { EXTENSION, findExtension, type HeaderExtension } from '../../format/extensions.js';
import { CRYPT_METHOD, type Header } from '../../format/header.js';
import { decodeLuks, LUKS_HEADER_BYTES, type LuksInfo } from '../../format/luks.js';
import { readBytes } from './read-bytes.js';

/** How an image is encrypted. */
export interface Encryption {
  /** The error that every read throws. */
  readonly unreadable: Qcow2Error;
  /** Undefined when the LUKS header is damaged or unsupported, or for another method. */
  readonly luks: LuksInfo | undefined;
}

/**
 * Reads how an image is encrypted. An invalid LUKS header does not prevent opening the image: its error is the one that
 * reads throw.
 *
 * @throws what the source throws.
 */
export async function readEncryption(
  source: ByteSource,
  header: Header,
  extensions: readonly HeaderExtension[],
  signal: AbortSignal | undefined,
): Promise<Encryption> {
  if (header.cryptMethod === CRYPT_METHOD.aes) return { unreadable: notReadYet('AES'), luks: undefined };
  try {
    return {
      unreadable: notReadYet('LUKS'),
      luks: await readLuks(source, 2 ** header.clusterBits, extensions, signal),
    };
  } catch (error) {
    if (isQcow2Error(error, 'corrupt', 'unsupported')) {
      return { unreadable: error, luks: undefined };
    }
    throw error;
  }
}

function notReadYet(method: string): Qcow2Error {
  const message = `The disk is encrypted (${method}); encrypted images can be inspected, but not read yet.`;
  return new Qcow2Error('unsupported', message, { what: 'crypt_method', at: 32 });
}

/** Reads the LUKS header, without the key material (spec: "Full disk encryption header pointer"). */
async function readLuks(
  source: ByteSource,
  clusterSize: number,
  extensions: readonly HeaderExtension[],
  signal: AbortSignal | undefined,
): Promise<LuksInfo> {
  const pointer = findExtension(extensions, EXTENSION.cryptoHeader);
  if (pointer === undefined) throw damaged('is missing', 32);
  if (pointer.data.length !== CRYPTO_POINTER_BYTES) {
    throw damaged(`is ${pointer.data.length} bytes long, not ${CRYPTO_POINTER_BYTES}`, pointer.offset);
  }
  const { at, length } = cryptoHeaderPlace(pointer);
  if (at % clusterSize !== 0) throw damaged(`points to ${hex(at)}, no multiple of the cluster size`, pointer.offset);
  if (at + length > source.size) {
    throw damaged(`points to ${hex(at)}, ${length} bytes, but the file ends at ${hex(source.size)}`, pointer.offset);
  }
  const bytes = await readBytes(source, at, Math.min(length, LUKS_HEADER_BYTES), signal);
  return decodeLuks(bytes, at, length);
}

function damaged(finding: string, at: number): Qcow2Error {
  const what = 'full disk encryption header pointer';
  return new Qcow2Error('corrupt', `The disk is encrypted (LUKS), but the ${what} ${finding}.`, { what, at });
}
