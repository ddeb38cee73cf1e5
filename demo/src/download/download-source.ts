/** The sources of downloads: the disk of an open image or of a snapshot in it, and a stored image in either form. */
import type { OperationOptions } from 'qcow2';
import type { StoredImage, TemporaryExport, WorkerImage } from 'qcow2-opfs';
import { withEngineOnce } from '../engine/engine.js';

/** A source that a download writes into a file. */
export interface DownloadSource {
  /** The image's name on the page. */
  readonly imageName: string;
  /** The name of the resulting file. */
  readonly fileName: string;
  readonly format: 'raw' | 'qcow2';
  /** Length of the file, bytes. */
  readonly size: number;
  /** Writes it into a file that the user chose. */
  export(to: FileSystemFileHandle, options: OperationOptions): Promise<void>;
  /** Writes it into a temporary file. */
  temporaryExport(options: OperationOptions): Promise<TemporaryExport>;
  /** Its bytes. */
  stream(options: OperationOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
}

/** The disk of an open image. `imageName` is the name of its file. */
export function diskOf(image: WorkerImage, imageName: string): DownloadSource {
  return {
    imageName,
    fileName: rawName(imageName),
    format: 'raw',
    size: image.size,
    export: (to, options) => image.export({ format: 'raw', to, ...options }),
    temporaryExport: (options) => image.temporaryExport({ format: 'raw', ...options }),
    stream: async (options) => image.readable(undefined, options),
  };
}

/**
 * The disk of a snapshot, `size` bytes, in an image whose file has that name. `open` is called when the disk is needed.
 */
export function snapshotOf(
  open: () => Promise<WorkerImage>,
  size: number,
  name: string,
  imageName: string,
): DownloadSource {
  return {
    imageName: `${name} in ${imageName}`,
    fileName: `${stem(imageName)} (${name.replace(FORBIDDEN_CHARACTERS, '_')}).raw`,
    format: 'raw',
    size,
    export: async (to, options) => (await open()).export({ format: 'raw', to, ...options }),
    temporaryExport: async (options) => (await open()).temporaryExport({ format: 'raw', ...options }),
    stream: async (options) => (await open()).readable(undefined, options),
  };
}

/** Characters that file names cannot contain on some system. */
const FORBIDDEN_CHARACTERS = /[\\/:*?"<>|\p{Cc}]/gu;

/** A stored image: its disk, or its file unchanged. */
export function storedImage({ name, fileSize, info }: StoredImage, format: 'raw' | 'qcow2'): DownloadSource {
  return {
    imageName: name,
    fileName: format === 'raw' ? rawName(name) : qcow2Name(name),
    format,
    size: format === 'raw' && info ? info.virtualSize : fileSize,
    export: (to, options) => withEngineOnce((store) => store.export(name, { format, to, ...options })),
    temporaryExport: (options) => withEngineOnce((store) => store.temporaryExport(name, { format, ...options })),
    stream: (options) => withEngineOnce((store) => store.export(name, { format, ...options })),
  };
}

function stem(name: string): string {
  return name.replace(/\.(qcow2?|img)$/i, '');
}

function rawName(name: string): string {
  return `${stem(name)}.raw`;
}

function qcow2Name(name: string): string {
  return /\.(qcow2?|img)$/i.test(name) ? name : `${name}.qcow2`;
}
