/** The form for a new image: its defaults, and its validation into a request. */
import type { CreateOptions } from 'qcow2';
import { formatCount, formatSize } from '../engine/size.js';
import { parseSize, type SizeInput } from '../ui/size-input.js';

/** The values of the form's fields. */
export interface CreateForm {
  readonly name: string;
  /** As typed: `10G`. Empty for the size of the base. */
  readonly size: string;
  /** Bytes. */
  readonly clusterSize: number;
  readonly version: 2 | 3;
  readonly refcountBits: number;
  readonly lazyRefcounts: boolean;
  readonly compressionType: 'zlib' | 'zstd';
  readonly extendedL2: boolean;
  readonly preallocation: 'off' | 'metadata';
  /** The name of a stored image; empty for none. */
  readonly backingFile: string;
}

/** The default values: QEMU's own defaults. */
export const DEFAULT_FORM: CreateForm = {
  name: 'disk.qcow2',
  size: '10G',
  clusterSize: 65536,
  version: 3,
  refcountBits: 16,
  lazyRefcounts: false,
  compressionType: 'zlib',
  extendedL2: false,
  preallocation: 'off',
  backingFile: '',
};

/** An existing image: its name, and the size of its disk if known. */
export interface Existing {
  readonly name: string;
  /** Bytes; null when the image cannot be opened. */
  readonly virtualSize: number | null;
}

/** Why each invalid field is refused. */
export type Refusals = { readonly [Field in keyof CreateForm]?: string | undefined };

/** What the form requests. */
export interface CreateRequest {
  readonly name: string;
  readonly options: CreateOptions;
}

/** Subclusters are a 32nd of a cluster, and at least a sector. */
const MIN_EXTENDED = 16384;
/** Disks have whole sectors. Bytes. */
const SECTOR = 512;
/** A smaller number needs a unit: 1 MiB. */
const LEAST_WITHOUT_UNIT = 1024 * 1024;
/** Maximum length of a name in the store, bytes of UTF-8. */
export const MAX_NAME_BYTES: number = 200;

/** Validates the form: returns a request, or a sentence for each invalid field. `existing` are the stored images. */
export function readForm(
  form: CreateForm,
  existing: readonly Existing[],
): { readonly request: CreateRequest } | { readonly refusals: Refusals } {
  const name = form.name.trim();
  const size = sizeOf(form, existing);
  const refusals: Refusals = withoutUndefined({
    name: nameRefusal(name, existing),
    size: 'refusal' in size ? size.refusal : undefined,
    ...featureRefusals(form),
  });
  if (Object.keys(refusals).length > 0 || 'refusal' in size) return { refusals };
  const { clusterSize, version, refcountBits, lazyRefcounts, compressionType, extendedL2, preallocation } = form;
  const backing = form.backingFile === '' ? {} : { backingFile: form.backingFile, backingFormat: 'qcow2' };
  return {
    request: {
      name,
      options: {
        size: size.bytes,
        clusterSize,
        version,
        refcountBits,
        lazyRefcounts,
        compressionType,
        extendedL2,
        preallocation,
        ...backing,
      },
    },
  };
}

/** Why an image cannot have a name, in words; undefined when it can. */
export function nameRefusal(name: string, existing: readonly { readonly name: string }[]): string | undefined {
  if (name === '') return 'Give the image a name.';
  if (name.startsWith('.')) return 'A name cannot begin with a dot.';
  if (/[\\/]/.test(name)) return 'A name cannot have a slash in it: there are no folders here.';
  if (/[\p{Cc}\p{Cs}]/u.test(name)) return 'The name has a character in it that no file can have.';
  if (new TextEncoder().encode(name).length > MAX_NAME_BYTES) {
    return `That name is too long: it has at most ${MAX_NAME_BYTES} bytes.`;
  }
  const same = name.normalize('NFC');
  if (existing.some((other) => other.name.normalize('NFC') === same)) {
    return `There is an image of the name ${name} already.`;
  }
  return undefined;
}

/** The exact size of the disk that the form makes, bytes: whole sectors. Null while there is none, or it is refused. */
export function madeSize(form: CreateForm, existing: readonly Existing[]): number | null {
  const size = sizeOf(form, existing);
  return 'bytes' in size ? Math.ceil(size.bytes / SECTOR) * SECTOR : null;
}

function sizeOf({ size, backingFile }: CreateForm, existing: readonly Existing[]): SizeInput {
  if (size.trim() !== '' || backingFile === '') return typedSize(size);
  const bytes = existing.find(({ name }) => name === backingFile)?.virtualSize;
  return bytes ? { bytes } : { refusal: `The size of ${backingFile} is not known: say how large the disk is to be.` };
}

/** The size as typed. A small number alone is refused: hardly anybody means bytes by it. */
function typedSize(text: string): SizeInput {
  const size = parseSize(text);
  const isAlone = /^[0-9.,]+$/.test(text.trim());
  if ('refusal' in size || !isAlone || size.bytes >= LEAST_WITHOUT_UNIT) return size;
  const count = formatCount(size.bytes);
  return { refusal: `"${text.trim()}" has no unit. Write ${count}M or ${count}G, or ${count} bytes if you mean that.` };
}

/** Options that exclude each other, as in QEMU. */
function featureRefusals(form: CreateForm): Refusals {
  const needs3 = form.version === 2 ? 'Version 2 does not have that: choose version 3.' : undefined;
  const ahead = form.preallocation === 'metadata' && form.backingFile !== '' && !form.extendedL2;
  return {
    refcountBits: form.refcountBits !== 16 ? needs3 : undefined,
    lazyRefcounts: form.lazyRefcounts ? needs3 : undefined,
    compressionType: form.compressionType === 'zstd' ? needs3 : undefined,
    extendedL2: form.extendedL2 ? (needs3 ?? subclusterRefusal(form.clusterSize)) : undefined,
    preallocation: ahead ? 'An overlay can be preallocated only with subclusters.' : undefined,
  };
}

function subclusterRefusal(clusterSize: number): string | undefined {
  return clusterSize < MIN_EXTENDED ? `Subclusters need clusters of at least ${formatSize(MIN_EXTENDED)}.` : undefined;
}

function withoutUndefined(refusals: Refusals): Refusals {
  return Object.fromEntries(Object.entries(refusals).filter(([, words]) => words !== undefined));
}
