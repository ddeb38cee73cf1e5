/**
 * Owns the other files that an image names: its references, what the caller answers for them, and the layers they
 * become.
 */

import type { ByteSource } from '../../api/device.js';
import type { ImageReference, Openable } from '../../api/openable.js';
import type { OpenOptions } from '../../api/options.js';
import type { CountingSource } from '../../engine/layer/counting-source.js';
import type { Backing, Qcow2Layer } from '../../engine/layer/layer.js';
import { probeFormat } from '../../engine/layer/probe.js';
import type { FilePlace } from '../../engine/layer/wait-tracker.js';
import { BackingFile, withinBacking } from '../../engine/read/backing-file.js';
import { DataFileSource } from '../../engine/read/data-file.js';
import { Qcow2Error } from '../../errors.js';
import type { HeaderExtension } from '../../format/extensions.js';
import type { Header } from '../../format/header.js';
import { MAX_CHAIN_DEPTH } from '../../format/limits.js';
import { askFor, type FilePart, type HandedFile, isHandedOver, refuseSecondPart } from '../../sources/file-parts.js';
import { backingFormatIn, backingNameIn, dataFileNameIn } from '../named-files.js';

/** Who opens the files of one chain. */
export interface LayerOpener {
  readonly options: OpenOptions;
  /** What was handed over as the external data file of the image itself. */
  dataFile: Openable | null;
  /** The image and every file that was handed over so far. */
  readonly files: FilePart[];
  own(
    openable: Openable,
    keptByCaller: boolean,
    place: FilePlace,
    decorate?: (source: ByteSource) => ByteSource,
  ): Promise<CountingSource>;
  openLayer(source: CountingSource, parent?: ImageReference): Promise<Qcow2Layer>;
}

/** An image that may name other files, and where it stands in its chain. */
export interface NamingFile {
  readonly header: Header;
  readonly extensions: readonly HeaderExtension[];
  /** Its first cluster. */
  readonly bytes: Uint8Array;
  readonly parent: ImageReference | undefined;
  readonly depth: number;
  /** It is opened for writing. */
  readonly writable: boolean;
}

/** The files that an image names; `data` is where its guest clusters are, null when that was not handed over. */
export interface References {
  readonly dataReference: ImageReference | null;
  readonly data: CountingSource | null;
  readonly backingReference: ImageReference | null;
  readonly backing: Backing | null;
}

/**
 * Asks for the files that an image names, and opens those that are handed over. `source` is its own.
 *
 * @throws {@link Qcow2Error} `corrupt` when one file would have two parts in the chain, as in one that leads in a
 *   circle, `unsupported` for a chain that is too long or of another format, and what opening a layer throws; what
 *   `resolve` throws; the signal's reason when it aborts.
 */
export async function openReferences(
  opener: LayerOpener,
  file: NamingFile,
  source: CountingSource,
): Promise<References> {
  const dataReference = dataReferenceOf(file);
  const backingReference = backingReferenceOf(file);
  const data = dataReference === null ? source : await openData(opener, dataReference);
  const backing = backingReference === null ? null : await openBacking(opener, backingReference);
  return { dataReference, data, backingReference, backing };
}

function dataReferenceOf(file: NamingFile): ImageReference | null {
  const { parent, depth, writable } = file;
  const name = dataFileNameIn(file);
  if (name === null) return null;
  return { kind: 'data', name, format: 'raw', writable, parent, depth: depth + 1 };
}

function backingReferenceOf(file: NamingFile): ImageReference | null {
  const { parent, depth } = file;
  const name = backingNameIn(file);
  if (name === null) return null;
  return { kind: 'backing', name, format: backingFormatIn(file), writable: false, parent, depth: depth + 1 };
}

/** A file that was handed over, opened as a source. */
interface ResolvedFile extends HandedFile {
  readonly source: CountingSource;
}

/**
 * What the caller answers for a reference: the file and, if anyone says, its format. An object that was handed over
 * before stays whose it was.
 *
 * @throws {@link Qcow2Error} `corrupt` when the file has a part in the chain already; as {@link askFor} does.
 */
async function resolved(opener: LayerOpener, reference: ImageReference): Promise<ResolvedFile | null> {
  const { files } = opener;
  const answer = await askFor(reference, opener.options, files);
  if (answer === null) return null;
  const place: FilePlace = { what: `${reference.kind} file`, depth: reference.depth };
  const decorate =
    reference.kind === 'data' ? (source: ByteSource) => new DataFileSource(source, reference) : undefined;
  const source = await opener.own(answer.openable, isHandedOver(files, answer.openable), place, decorate);
  refuseSecondPart(files, answer.openable, reference);
  opener.files.push({ openable: answer.openable, reference });
  return { ...answer, source };
}

async function openData(opener: LayerOpener, reference: ImageReference): Promise<CountingSource | null> {
  const answer = await resolved(opener, reference);
  if (reference.writable) opener.dataFile = answer?.openable ?? null;
  return answer === null ? null : answer.source;
}

/** What images call a raw file: `file` and `host_device` stood there before QEMU told format from protocol. */
const RAW_FORMATS: readonly string[] = ['raw', 'file', 'host_device'];

async function openBacking(opener: LayerOpener, reference: ImageReference): Promise<Backing | null> {
  const answer = await resolved(opener, reference);
  if (answer === null) return null;
  const { source } = answer;
  const { name, depth } = reference;
  const details = { what: 'backing file', name, depth };
  if (depth >= MAX_CHAIN_DEPTH) {
    throw new Qcow2Error('unsupported', `The chain of backing files is longer than ${MAX_CHAIN_DEPTH}.`, details);
  }
  try {
    const format = answer.format ?? (await probeFormat(source, opener.options.signal));
    if (RAW_FORMATS.includes(format))
      return new BackingFile({ kind: 'raw', depth, size: source.size, source }, reference);
    if (format === 'qcow2') {
      return new BackingFile(await opener.openLayer(source, reference), reference);
    }
    throw new Qcow2Error('unsupported', `It is of the format "${format}", and only raw and qcow2 are read.`, details);
  } catch (error) {
    throw withinBacking(error, reference, opener.options.signal);
  }
}
