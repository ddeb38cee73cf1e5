/**
 * Decodes the LUKS version 1 header of an encrypted image: its algorithms and key slots. Key material is not read
 * (cryptsetup: "LUKS On-Disk Format Specification", version 1.2.1).
 */
import { Qcow2Error, type Qcow2ErrorCode } from '../errors.js';
import { alignUp, viewOf } from './bytes.js';
import { decodeName } from './names.js';

/** Length of the header before the key material, bytes. */
export const LUKS_HEADER_BYTES = 592;
const MAGIC: readonly number[] = [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]; // "LUKS", then two bytes that are not text
const SECTOR = 512;
const SLOTS = 8;
const STRIPES = 4000;
/** First offset of key material, and its alignment, as in cryptsetup and QEMU. Bytes. */
const KEY_AREA_AT = 4096;
const SLOTS_AT = 208;
const SLOT_BYTES = 48;
const SLOT_STATE = { enabled: 0x00ac71f3, disabled: 0x0000dead } as const;

/** Valid key lengths of each cipher, bytes. */
const CIPHERS: ReadonlyMap<string, readonly number[]> = new Map([
  ['aes', [16, 24, 32]],
  ['cast5', [16]],
  ['serpent', [16, 24, 32]],
  ['twofish', [16, 24, 32]],
]);
const MODES: readonly string[] = ['ecb', 'cbc', 'xts', 'ctr'];
const IV_GENERATORS: readonly string[] = ['plain', 'plain64', 'essiv'];
/** Lengths of digests, bytes. */
const HASHES: ReadonlyMap<string, number> = new Map([
  ['md5', 16],
  ['sha1', 20],
  ['sha224', 28],
  ['sha256', 32],
  ['sha384', 48],
  ['sha512', 64],
  ['ripemd160', 20],
]);

/** A key slot of a LUKS header: the master key, encrypted with a passphrase. */
export interface LuksSlotInfo {
  readonly active: boolean;
  /** Iterations of PBKDF2, and anti-forensic stripes. Only in an active slot. */
  readonly iters?: number | undefined;
  readonly stripes?: number | undefined;
  /** Offset of its key material from the start of the LUKS header, bytes. */
  readonly keyOffset: number;
}

/** The LUKS header of an encrypted image, with the fields of `qemu-img info --output=json` in camelCase. */
export interface LuksInfo {
  /** Cipher and key length in bits: `'aes-256'`. */
  readonly cipherAlg: string;
  readonly cipherMode: string;
  readonly ivgenAlg: string;
  /** Only for a generator that needs a hash. */
  readonly ivgenHashAlg?: string | undefined;
  /** Of PBKDF2. */
  readonly hashAlg: string;
  readonly uuid: string;
  /** Offset at which a LUKS volume's data would begin, from the start of the LUKS header, bytes. */
  readonly payloadOffset: number;
  readonly masterKeyIters: number;
  readonly slots: readonly LuksSlotInfo[];
}

/** True if the bytes begin as a LUKS header does. */
export function isLuks(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, index) => bytes[index] === byte);
}

/**
 * The offset at which a LUKS volume's data would begin, from the start of the LUKS header in `bytes`: key material is
 * before it. Bytes.
 */
export function luksPayloadOffset(bytes: Uint8Array): number {
  return viewOf(bytes).getUint32(104) * SECTOR;
}

type Fail = (code: Qcow2ErrorCode, what: string, at: number, finding: string) => never;

/**
 * Decodes the header in `bytes`, from file offset `offset`. Header and key material together are `length` bytes long.
 *
 * @throws {@link Qcow2Error} `unsupported` for another version, or an algorithm that QEMU does not have; `corrupt` for
 *   a header that QEMU refuses as invalid, and for key material outside `length`.
 */
export function decodeLuks(bytes: Uint8Array, offset: number, length: number): LuksInfo {
  const fail: Fail = (code, what, at, finding) => {
    const message = `The LUKS header is ${code === 'corrupt' ? 'damaged' : 'not supported'}: ${what} ${finding}.`;
    throw new Qcow2Error(code, message, { what: `LUKS header, ${what}`, at: offset + at });
  };
  if (bytes.length < LUKS_HEADER_BYTES) fail('corrupt', 'length', 0, `is ${bytes.length} bytes; 592 are needed`);
  const view = viewOf(bytes);
  if (!isLuks(bytes)) fail('corrupt', 'magic', 0, 'is not that of LUKS');
  const version = view.getUint16(6);
  if (version !== 1) fail('unsupported', 'version', 6, `is ${version}; only 1 is supported`);
  const keyBytes = view.getUint32(108);
  const masterKeyIters = view.getUint32(164);
  if (masterKeyIters === 0) fail('corrupt', 'mk-digest-iter', 164, 'is 0');
  const payloadOffset = luksPayloadOffset(bytes);
  if (payloadOffset < KEY_AREA_AT) fail('corrupt', 'payload-offset', 104, 'lies within the header');
  const algorithms = decodeAlgorithms(bytes, keyBytes, fail);
  const slots = decodeSlots(view, keyBytes, Math.min(payloadOffset, length), fail);
  return { ...algorithms, uuid: decodeName(bytes.subarray(168, SLOTS_AT)), payloadOffset, masterKeyIters, slots };
}

type Algorithms = Pick<LuksInfo, 'cipherAlg' | 'cipherMode' | 'ivgenAlg' | 'ivgenHashAlg' | 'hashAlg'>;

/** Decodes the names of the algorithms. `cipher-mode` has three parts: `cbc-essiv:sha256`. */
function decodeAlgorithms(bytes: Uint8Array, keyBytes: number, fail: Fail): Algorithms {
  const nameAt = (what: string, at: number): string => {
    const field = bytes.subarray(at, at + 32);
    if (!field.includes(0)) fail('corrupt', what, at, 'has no terminating NUL');
    return decodeName(field);
  };
  const cipher = nameAt('cipher-name', 8);
  const mode = nameAt('cipher-mode', 40);
  const hashAlg = nameAt('hash-spec', 72);
  const unknown = (what: string, at: number, name: string) => fail('unsupported', what, at, `names "${name}"`);
  const dash = mode.indexOf('-');
  if (dash < 0) fail('corrupt', 'cipher-mode', 40, `names no IV generator: "${mode}"`);
  const cipherMode = mode.slice(0, dash);
  const [ivgenAlg = '', ...hashes] = mode.slice(dash + 1).split(':');
  const ivgenHashAlg = hashes.length === 0 ? null : hashes.join(':');
  const known = MODES.includes(cipherMode) && IV_GENERATORS.includes(ivgenAlg);
  if (!known || (ivgenHashAlg !== null && !HASHES.has(ivgenHashAlg))) unknown('cipher-mode', 40, mode);
  if (!HASHES.has(hashAlg)) unknown('hash-spec', 72, hashAlg);
  // XTS uses two keys, each half of the stored length.
  const keyLength = cipherMode === 'xts' ? Math.floor(keyBytes / 2) : keyBytes;
  const lengths = CIPHERS.get(cipher);
  if (lengths === undefined) return unknown('cipher-name', 8, cipher);
  if (!lengths.includes(keyLength)) {
    fail('unsupported', 'key-bytes', 108, `is ${keyBytes}, a length that ${cipher} does not have in ${cipherMode}`);
  }
  const algorithms = { cipherAlg: `${cipher}-${keyLength * 8}`, cipherMode, ivgenAlg, hashAlg };
  // A hash given for a generator that needs none is ignored, as in QEMU and dm-crypt.
  if (ivgenAlg !== 'essiv') return algorithms;
  if (ivgenHashAlg === null) return fail('corrupt', 'cipher-mode', 40, `names no hash for its IV generator: "${mode}"`);
  // The digest is the key of ESSIV's cipher.
  if (!lengths.includes(HASHES.get(ivgenHashAlg)!)) unknown('cipher-mode', 40, mode);
  return { ...algorithms, ivgenHashAlg };
}

/** Decodes the key slots. Key material must be within the first `end` bytes and must not overlap another slot's. */
function decodeSlots(view: DataView, keyBytes: number, end: number, fail: Fail): LuksSlotInfo[] {
  const material = alignUp(keyBytes * STRIPES, KEY_AREA_AT);
  const slots: LuksSlotInfo[] = [];
  for (let index = 0; index < SLOTS; index++) {
    const at = SLOTS_AT + index * SLOT_BYTES;
    const refuse = (field: string, inside: number, finding: string) =>
      fail('corrupt', `key slot ${index}, ${field}`, at + inside, finding);
    const state = view.getUint32(at);
    const iters = view.getUint32(at + 4);
    const keyOffset = view.getUint32(at + 40) * SECTOR;
    const stripes = view.getUint32(at + 44);
    const active = state === SLOT_STATE.enabled;
    if (!active && state !== SLOT_STATE.disabled) refuse('active', 0, `is 0x${state.toString(16)}`);
    if (active && iters === 0) refuse('iterations', 4, 'is 0');
    if (stripes !== STRIPES) refuse('stripes', 44, `is ${stripes}; it must be ${STRIPES}`);
    if (keyOffset < KEY_AREA_AT) refuse('key-material-offset', 40, 'lies within the header');
    if (keyOffset + material > end) refuse('key-material-offset', 40, 'points past the end of the key material');
    const overlapped = slots.findIndex((other) => Math.abs(other.keyOffset - keyOffset) < material);
    if (overlapped >= 0) refuse('key-material-offset', 40, `overlaps the key material of slot ${overlapped}`);
    slots.push(active ? { active, iters, stripes, keyOffset } : { active, keyOffset });
  }
  return slots;
}
