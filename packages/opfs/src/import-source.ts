/** Owns where the bytes of an import come from: a Blob that the worker reads itself, or chunks that the page hands over. */
import { blobFailure, changedBlob } from 'qcow2/internal';

type Chunk = Uint8Array<ArrayBuffer>;

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

/** How many chunks are read ahead, while the file is made that takes them. Chromium's have up to 2 MiB. */
const AHEAD = 6;

/**
 * The bytes of a Blob, read some chunks ahead. Not by a reader that brings its own buffers: on the stream of a Blob that one
 * stalls for ever now and then in Chromium (docs/decisions/0004).
 */
export function blobImport(blob: Blob): ImportSource {
  const reader = blob.stream().getReader();
  let done = 0;
  const read = (): Promise<Chunk | null> => {
    const next = reader.read().then((result) => result.value ?? null);
    // Whoever takes it sees its error.
    next.catch(() => {});
    return next;
  };
  const ahead = Array.from({ length: AHEAD }, read);
  return {
    size: blob.size,
    whole: blob,
    async next() {
      let chunk: Chunk | null;
      try {
        chunk = await ahead.shift()!;
      } catch (error) {
        throw blobFailure(error, done);
      }
      if (chunk) ahead.push(read());
      else if (done !== blob.size) throw changedBlob(done);
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
