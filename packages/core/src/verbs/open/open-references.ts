/** Opens the files that an image references: calls `resolve` for each, and creates its layer. */

import type { ByteSource } from '../../api/device.js';
import type { ImageReference, Openable } from '../../api/openable.js';
import type { OpenOptions } from '../../api/options.js';
import type { CountingSource } from '../../engine/layer/counting-source.js';
import type { Backing, Qcow2Layer } from '../../engine/layer/layer.js';
import { probeFormat } from '../../engine/layer/probe.js';
import type { FileRole } from '../../engine/layer/wait-tracker.js';
import { BackingFile, withinBacking } from '../../engine/read/backing-file.js';
import { DataFileSource } from '../../engine/read/data-file.js';
import { Qcow2Error } from '../../errors.js';
import type { HeaderExtension } from '../../format/extensions.js';
import type { Header } from '../../format/header.js';
import { MAX_CHAIN_DEPTH } from '../../format/limits.js';
import {
  type ChainFile,
  includesFile,
  type ProvidedFile,
  refuseSecondRole,
  resolveReference,
} from '../../sources/chain-files.js';
import { backingFormatIn, backingNameIn, dataFileNameIn } from '../named-files.js';

/** The state and the functions that open the files of one chain. */
export interface LayerOpener {
  readonly options: OpenOptions;
  /** The external data file of the image itself, as `resolve` returned it. */
  dataFile: Openable | null;
  /** The image, and every file that `resolve` has returned so far. */
  readonly files: ChainFile[];
  openSource(
    openable: Openable,
    keptByCaller: boolean,
    role: FileRole,
    decorate?: (source: ByteSource) => ByteSource,
  ): Promise<CountingSource>;
  openLayer(source: CountingSource, parent?: ImageReference): Promise<Qcow2Layer>;
}

/** An image that may reference other files, and its position in its chain. */
export interface ReferencingFile {
  readonly header: Header;
  readonly extensions: readonly HeaderExtension[];
  /** Its first cluster. */
  readonly bytes: Uint8Array;
  readonly parent: ImageReference | undefined;
  readonly depth: number;
  /** It is opened for writing. */
  readonly writable: boolean;
}

/** The files that an image references. `data` contains its guest clusters; null when that was not provided. */
export interface References {
  readonly dataReference: ImageReference | null;
  readonly data: CountingSource | null;
  readonly backingReference: ImageReference | null;
  readonly backing: Backing | null;
}

/**
 * Resolves the files that an image references, and opens those that are provided. `source` is the image's own file.
 *
 * @throws {@link Qcow2Error} `corrupt` when one file would have two roles in the chain, as in a circular chain,
 *   `unsupported` for a chain that is too long or of another format, and what opening a layer throws; what `resolve`
 *   throws; the signal's reason when it aborts.
 */
export async function openReferences(
  opener: LayerOpener,
  file: ReferencingFile,
  source: CountingSource,
): Promise<References> {
  const dataReference = dataReferenceOf(file);
  const backingReference = backingReferenceOf(file);
  const data = dataReference === null ? source : await openData(opener, dataReference);
  const backing = backingReference === null ? null : await openBacking(opener, backingReference);
  return { dataReference, data, backingReference, backing };
}

function dataReferenceOf(file: ReferencingFile): ImageReference | null {
  const { parent, depth, writable } = file;
  const name = dataFileNameIn(file);
  if (name === null) return null;
  return { kind: 'data', name, format: 'raw', writable, parent, depth: depth + 1 };
}

function backingReferenceOf(file: ReferencingFile): ImageReference | null {
  const { parent, depth } = file;
  const name = backingNameIn(file);
  if (name === null) return null;
  return { kind: 'backing', name, format: backingFormatIn(file), writable: false, parent, depth: depth + 1 };
}

/** A provided file, opened as a source. */
interface ResolvedFile extends ProvidedFile {
  readonly source: CountingSource;
}

/**
 * Resolves a reference, and opens the file as a source. An object that is in the chain already is not closed with the
 * image a second time.
 *
 * @throws {@link Qcow2Error} `corrupt` when the file is in the chain already; as {@link resolveReference} does.
 */
async function openProvided(opener: LayerOpener, reference: ImageReference): Promise<ResolvedFile | null> {
  const { files } = opener;
  const file = await resolveReference(reference, opener.options, files);
  if (file === null) return null;
  const role: FileRole = { what: `${reference.kind} file`, depth: reference.depth };
  const decorate =
    reference.kind === 'data' ? (source: ByteSource) => new DataFileSource(source, reference) : undefined;
  const source = await opener.openSource(file.openable, includesFile(files, file.openable), role, decorate);
  refuseSecondRole(files, file.openable, reference);
  opener.files.push({ openable: file.openable, reference });
  return { ...file, source };
}

async function openData(opener: LayerOpener, reference: ImageReference): Promise<CountingSource | null> {
  const file = await openProvided(opener, reference);
  if (reference.writable) opener.dataFile = file?.openable ?? null;
  return file === null ? null : file.source;
}

/** The names of the raw format: old versions of QEMU wrote the protocol there, `file` or `host_device`. */
const RAW_FORMATS: readonly string[] = ['raw', 'file', 'host_device'];

async function openBacking(opener: LayerOpener, reference: ImageReference): Promise<Backing | null> {
  const file = await openProvided(opener, reference);
  if (file === null) return null;
  const { source } = file;
  const { name, depth } = reference;
  const details = { what: 'backing file', name, depth };
  if (depth >= MAX_CHAIN_DEPTH) {
    throw new Qcow2Error('unsupported', `The chain of backing files is longer than ${MAX_CHAIN_DEPTH}.`, details);
  }
  try {
    const format = file.format ?? (await probeFormat(source, opener.options.signal));
    if (RAW_FORMATS.includes(format))
      return new BackingFile({ kind: 'raw', depth, size: source.size, source }, reference);
    if (format === 'qcow2') {
      return new BackingFile(await opener.openLayer(source, reference), reference);
    }
    throw new Qcow2Error('unsupported', `Its format is "${format}"; only raw and qcow2 are supported.`, details);
  } catch (error) {
    throw withinBacking(error, reference, opener.options.signal);
  }
}
