/** Owns where the bytes of an import come from: a Blob that the worker reads itself, or chunks that the page hands over. */
import { Qcow2Error } from 'qcow2';

type Chunk = Uint8Array<ArrayBuffer>;

/** What is read from a Blob at once. Bytes. */
const CHUNK = 1024 * 1024;

/** Bytes in order. */
export interface ImportSource {
  /** How many there are, bytes; null when nobody knows. */
  readonly size: number | null;
  /** The same bytes to be looked into before they are copied; null where they come but once. */
  readonly whole: Blob | null;
  /** The next bytes, to be used before the next call; null at the end. */
  next(): Promise<Chunk | null>;
  /** Lets go of whatever gives them. */
  end(): Promise<void>;
}

/** The bytes of a Blob, read one chunk ahead into two buffers that are used in turn. */
export function blobImport(blob: Blob): ImportSource {
  const reader = readerOf(blob);
  let ahead: Promise<Chunk | null> | null = null;
  let last: Chunk | null = null;
  let done = 0;
  const read = (): Promise<Chunk | null> => {
    const next = reader.read(last?.buffer ?? new ArrayBuffer(CHUNK));
    // Whoever takes it sees its error.
    next.catch(() => {});
    return next;
  };
  return {
    size: blob.size,
    whole: blob,
    async next() {
      let chunk: Chunk | null;
      try {
        chunk = await (ahead ?? read());
      } catch (error) {
        throw readFailure(error, done);
      }
      if (chunk) ahead = read();
      else if (done !== blob.size) throw changed(done, undefined);
      last = chunk;
      done += chunk?.length ?? 0;
      return chunk;
    },
    end: () => reader.cancel(),
  };
}

/** The bytes of a stream that lies on the page, asked for one chunk ahead. */
export function pulledImport(pull: () => Promise<Chunk | null>): ImportSource {
  let ahead: Promise<Chunk | null> | null = null;
  return {
    size: null,
    whole: null,
    async next() {
      const chunk = await (ahead ?? pull());
      if (chunk) {
        ahead = pull();
        ahead.catch(() => {});
      }
      return chunk;
    },
    // The page ends its own stream.
    end: async () => {},
  };
}

/** A reader that takes a buffer and answers with a part of it, where the platform has such readers. */
function readerOf(blob: Blob): { read(into: ArrayBuffer): Promise<Chunk | null>; cancel(): Promise<void> } {
  const stream = blob.stream();
  const byob = byobReaderOf(stream);
  if (byob) {
    return {
      async read(into) {
        const { done, value } = await byob.read(new Uint8Array(into));
        return done || !value ? null : value;
      },
      cancel: () => byob.cancel(),
    };
  }
  const reader = stream.getReader();
  return {
    async read() {
      const { done, value } = await reader.read();
      return done ? null : value;
    },
    cancel: () => reader.cancel(),
  };
}

function byobReaderOf(stream: ReadableStream<Chunk>): ReadableStreamBYOBReader | null {
  try {
    return stream.getReader({ mode: 'byob' });
  } catch (error) {
    // The stream of a Blob is a byte stream only in newer browsers.
    if (error instanceof TypeError || error instanceof RangeError) return null;
    throw error;
  }
}

/** NotReadableError and NotFoundError are how browsers say that a chosen file is no longer what it was. */
function readFailure(error: unknown, at: number): unknown {
  if (!(error instanceof DOMException)) return error;
  if (error.name === 'NotReadableError' || error.name === 'NotFoundError') return changed(at, error);
  return new Qcow2Error('io', `The file could not be read: ${error.message}`, { what: 'file', at }, { cause: error });
}

function changed(at: number, cause: unknown): Qcow2Error {
  const message = 'The file was changed, moved or deleted since it was chosen. Choose it again.';
  return new Qcow2Error('changed', message, { what: 'file', at }, { cause });
}
