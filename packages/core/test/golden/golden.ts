/** Owns how tests get at the golden images: makes them when they are missing, and types what stands beside them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One element of `qemu-img map --output=json`. */
export interface QemuExtent {
  start: number;
  length: number;
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  /** Only newer versions print it. */
  compressed?: boolean;
  offset?: number;
}

/** How an image is encrypted: all but `format` of LUKS alone. */
export interface QemuEncryption {
  format: string;
  'cipher-alg'?: string;
  'cipher-mode'?: string;
  'ivgen-alg'?: string;
  'ivgen-hash-alg'?: string;
  'hash-alg'?: string;
  uuid?: string;
  'payload-offset'?: number;
  'master-key-iters'?: number;
  slots?: readonly { active: boolean; iters?: number; stripes?: number; 'key-offset': number }[];
}

/** The fields of `qemu-img info --output=json` that are compared. */
export interface QemuInfo {
  'virtual-size': number;
  'cluster-size': number;
  'dirty-flag': boolean;
  encrypted?: boolean;
  'backing-filename'?: string;
  'backing-filename-format'?: string;
  snapshots?: readonly {
    id: string;
    name: string;
    'vm-state-size': number;
    'date-sec': number;
    'date-nsec': number;
    'vm-clock-sec': number;
    'vm-clock-nsec': number;
    icount?: number;
  }[];
  'format-specific': {
    data: {
      compat: string;
      'compression-type'?: string;
      'lazy-refcounts'?: boolean;
      'refcount-bits': number;
      corrupt?: boolean;
      'extended-l2'?: boolean;
      'data-file'?: string;
      'data-file-raw'?: boolean;
      bitmaps?: readonly { name: string; granularity: number; flags: readonly string[] }[];
      encrypt?: QemuEncryption;
    };
  };
}

/** Guest bytes as `qemu-img convert` reads them; `file` holds them. */
export interface GoldenWindow {
  readonly start: number;
  readonly length: number;
  readonly file: string;
  readonly sha256: string;
}

/** A golden image and what qemu-img says of it. */
export interface Golden {
  readonly name: string;
  /** Its file, and the folder in which its relative names hold. */
  readonly file: string;
  readonly folder: string;
  /** Other files that it needs, by the names it gives them. */
  readonly files: readonly string[];
  /** Its bytes need a codec or a cipher that is not there yet: reading is refused, everything else works. */
  readonly unsupported: boolean;
  readonly info: QemuInfo;
  readonly map: readonly QemuExtent[];
  readonly windows: readonly GoldenWindow[];
  /** The disk of each snapshot, in the order of the table. */
  readonly snapshots: readonly { id: string; map: readonly QemuExtent[]; windows: readonly GoldenWindow[] }[];
  /** What each bitmap marks; null for one that QEMU does not trust. */
  readonly bitmaps: readonly { name: string; dirty: readonly { start: number; length: number }[] | null }[];
}

/** All golden images, made on the spot when the recipes are newer. */
export function loadGolden(): readonly Golden[] {
  const script = fileURLToPath(new URL('./make.js', import.meta.url));
  const folder = execFileSync(process.execPath, [script], { encoding: 'utf8' }).trim();
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => {
      const golden = JSON.parse(readFileSync(join(folder, name), 'utf8'));
      const file = join(folder, `${golden.name}.qcow2`);
      if (!existsSync(file)) throw new Error(`${file} is missing: remove its folder, and it is made anew`);
      return { ...golden, folder, file };
    });
}
