/** The sources of an import: a Blob that the worker reads itself, or chunks that the page sends. */
import { bufferSource, isQcow2Error } from 'qcow2';
import { blobFailure, changedBlob, readBackingName } from 'qcow2/internal';

type Chunk = Uint8Array<ArrayBuffer>;

/** Bytes in order. */
export interface ImportSource {
  /** Their number; null when it is not known. Bytes. */
  readonly size: number | null;
  /** The same bytes as a Blob, to validate before copying; null where they can be read only once. */
  readonly whole: Blob | null;
  /** The next bytes, valid until the next call; null at the end. */
  next(): Promise<Chunk | null>;
  /** Releases the source. */
  end(): Promise<void>;
}

/** How many chunks are read ahead while the target file is created. Chromium's have up to 2 MiB. */
const READ_AHEAD = 6;

/**
 * The bytes of a Blob, read some chunks ahead. Not with a BYOB reader: on the stream of a Blob it occasionally stalls
 * for ever in Chromium (docs/decisions/0004).
 */
export function blobImport(blob: Blob): ImportSource {
  const reader = blob.stream().getReader();
  let done = 0;
  const read = (): Promise<Chunk | null> => {
    const next = reader.read().then((result) => result.value ?? null);
    // The call that takes it throws its error.
    next.catch(() => {});
    return next;
  };
  const ahead = Array.from({ length: READ_AHEAD }, read);
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

/**
 * The bytes of a stream on the page, requested one chunk ahead once the first bytes are recognised as an image. Other
 * streams are refused there: a stream can be read only once, and may never end.
 */
export function pulledImport(pull: () => Promise<Chunk | null>, signal?: AbortSignal): ImportSource {
  let ahead: Promise<Chunk | null> | null = null;
  let head: Uint8Array | null = new Uint8Array(0);
  return {
    size: null,
    whole: null,
    async next() {
      const chunk = await (ahead ?? pull());
      ahead = null;
      if (chunk && head) head = await identifyHead(concatenated(head, chunk), signal);
      if (chunk && !head) {
        ahead = pull();
        ahead.catch(() => {});
      }
      return chunk;
    },
    // The page cancels its own stream.
    end: async () => {},
  };
}

/** The bytes that identify an image: its magic and its version. */
const IDENTIFY_BYTES = 8;

/**
 * Validates the first bytes of an image: null when done, else the bytes so far, which are too few.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`; errors in the rest of the header are found at the end
 */
async function identifyHead(head: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array | null> {
  if (head.length < IDENTIFY_BYTES) return head;
  try {
    await readBackingName(bufferSource(head), signal);
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt')) throw error;
  }
  return null;
}

/** The bytes so far, at most seven, followed by the next ones. */
function concatenated(head: Uint8Array, chunk: Chunk): Uint8Array {
  if (head.length === 0) return chunk;
  const both = new Uint8Array(head.length + chunk.length);
  both.set(head);
  both.set(chunk, head.length);
  return both;
}
