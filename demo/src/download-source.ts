/** Owns what can be downloaded: the disk of an open image, and a stored image in either form. */
import type { OperationOptions } from 'qcow2';
import type { OpfsImage, Spool, StoredImage } from 'qcow2-opfs';
import { withEngineOnce } from './engine.js';

/** Something that a download writes into a file. */
export interface DownloadSource {
  /** The image, in words. */
  readonly imageName: string;
  /** What the file will be called. */
  readonly fileName: string;
  readonly format: 'raw' | 'qcow2';
  /** Length of the file, bytes. */
  readonly size: number;
  /** Writes it into a file that a person chose. */
  export(to: FileSystemFileHandle, options: OperationOptions): Promise<void>;
  /** Writes it into a temporary file. */
  spool(options: OperationOptions): Promise<Spool>;
  /** Its bytes. */
  stream(options: OperationOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
}

/** The disk of an open image, from a file of that name. */
export function diskOf(image: OpfsImage, imageName: string): DownloadSource {
  return {
    imageName,
    fileName: rawName(imageName),
    format: 'raw',
    size: image.size,
    export: (to, options) => image.export({ format: 'raw', to, ...options }),
    spool: (options) => image.spool({ format: 'raw', ...options }),
    stream: async (options) => image.readable(undefined, options),
  };
}

/** A stored image: its disk, or its file as it is. */
export function storedImage({ name, fileSize, info }: StoredImage, format: 'raw' | 'qcow2'): DownloadSource {
  return {
    imageName: name,
    fileName: format === 'raw' ? rawName(name) : qcow2Name(name),
    format,
    size: format === 'raw' && info ? info.virtualSize : fileSize,
    export: (to, options) => withEngineOnce((store) => store.export(name, { format, to, ...options })),
    spool: (options) => withEngineOnce((store) => store.spool(name, { format, ...options })),
    stream: (options) => withEngineOnce((store) => store.export(name, { format, ...options })),
  };
}

function rawName(name: string): string {
  return `${name.replace(/\.(qcow2?|img)$/i, '')}.raw`;
}

function qcow2Name(name: string): string {
  return /\.(qcow2?|img)$/i.test(name) ? name : `${name}.qcow2`;
}
