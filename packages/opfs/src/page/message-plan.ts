/**
 * Divides a request into messages of a bounded size. What crosses is copied once more, browsers refuse to send about 2
 * GiB, and a worker handles no other message, pings included, while it works on one: synchronous devices give it no
 * pause.
 */

/** The most bytes that one message is about, those in shared memory included: 2 s on a medium that stores 17 MB/s. */
export const MAX_MESSAGE_BYTES: number = 32 * 1024 * 1024;

/** A part of a piece of a request: which, from where in it, and how many bytes. */
export interface PiecePart {
  readonly index: number;
  readonly from: number;
  readonly length: number;
}

/**
 * The messages of a request, in the order of its pieces, which are so many bytes long; each of no more than `most`
 * bytes.
 */
export function planMessages(lengths: readonly number[], most: number = MAX_MESSAGE_BYTES): PiecePart[][] {
  let message: PiecePart[] = [];
  const messages = [message];
  let room = most;
  lengths.forEach((length, index) => {
    let from = 0;
    do {
      if (room === 0) {
        message = [];
        messages.push(message);
        room = most;
      }
      const part = Math.min(length - from, room);
      message.push({ index, from, length: part });
      room -= part;
      from += part;
    } while (from < length);
  });
  return messages;
}
