/** Turns a cursor of guest bytes into a ReadableStream. */
import type { RemoteCursor } from './remote-cursor.js';

type Chunk = Uint8Array<ArrayBuffer>;

/**
 * Returns a stream of the cursor's bytes: a byte stream where the platform has them. Cancelling it frees the cursor.
 */
export function guestStream(cursor: RemoteCursor<Chunk | null>): ReadableStream<Chunk> {
  const cancel = (): Promise<void> => cursor.release();
  if (!hasByteStreams()) {
    const pull = async (controller: ReadableStreamDefaultController<Chunk>): Promise<void> => {
      const chunk = await cursor.next();
      if (chunk) controller.enqueue(chunk);
      else controller.close();
    };
    return new ReadableStream<Chunk>({ pull, cancel }, { highWaterMark: 0 });
  }
  const pull = async (controller: ReadableByteStreamController): Promise<void> => {
    const chunk = await cursor.next();
    if (chunk) return controller.enqueue(chunk);
    controller.close();
    // A pending BYOB read settles, and returns its buffer, only after `respond`.
    controller.byobRequest?.respond(0);
  };
  return new ReadableStream({ type: 'bytes', pull, cancel });
}

/** Safari has byte streams from 26.4. */
function hasByteStreams(): boolean {
  try {
    new ReadableStream({ type: 'bytes' });
    return true;
  } catch {
    return false;
  }
}
