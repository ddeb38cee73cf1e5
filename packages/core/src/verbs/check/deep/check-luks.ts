/** Checks the LUKS header of an encrypted image. */
import { readEncryption } from '../../../engine/layer/encryption.js';
import { hex } from '../../../format/bytes.js';
import { cryptoHeaderPlace } from '../../../format/crypto-header.js';
import { EXTENSION, findExtension, type HeaderExtension } from '../../../format/extensions.js';
import { CRYPT_METHOD } from '../../../format/header.js';
import type { CheckContext } from '../check-context.js';

/** Offset of `payload-offset` in a LUKS header, bytes. */
const PAYLOAD_OFFSET_AT = 104;

/** Reports an invalid header: without it, the disk cannot be decrypted. An algorithm that is not supported is valid. */
export async function checkLuks(context: CheckContext, extensions: readonly HeaderExtension[]): Promise<void> {
  const { source, header, fileSize, signal, findings } = context;
  if (header.cryptMethod !== CRYPT_METHOD.luks) return;
  const { luks, unreadable } = await readEncryption(source, header, extensions, signal);
  const report = (what: string, at: number, message: string) =>
    findings.add('extra', 'luks-header', 'data-doubtful', { what, at }, () => message);
  if (luks === undefined) {
    const { what = 'LUKS header', at = 0 } = unreadable.details;
    if (unreadable.code === 'corrupt') report(what, at, unreadable.message);
    return;
  }
  const at = cryptoHeaderPlace(findExtension(extensions, EXTENSION.cryptoHeader)!).at;
  const end = at + luks.payloadOffset;
  if (end <= fileSize) return;
  const message = `The keys end at ${hex(end)}, but the file ends at ${hex(fileSize)}.`;
  report('LUKS header, payload-offset', at + PAYLOAD_OFFSET_AT, message);
}
