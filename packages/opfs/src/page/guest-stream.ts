/** The guest's bytes that a cursor delivers, as a stream. */
import type { RemoteCursor } from './remote-cursor.js';

type Chunk = Uint8Array<ArrayBuffer>;

/** The stream of a cursor's bytes: a byte stream where the platform has them. Cancelling it frees the cursor. */
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
    // A reader that brought its own buffer gets it back only by an answer.
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
