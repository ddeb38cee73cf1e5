/**
 * Divides a request into messages of bounded size. A message's bytes are copied once more, and browsers refuse to send
 * about 2 GiB. A worker handles no other message, pings included, during one: synchronous devices never yield.
 */

/** Most bytes of one message, shared memory included: 2 s on a medium that stores 17 MB/s. */
export const MAX_MESSAGE_BYTES: number = 32 * 1024 * 1024;

/** A part of a piece of a request: the piece's index, an offset in it, and a length in bytes. */
export interface PiecePart {
  readonly index: number;
  readonly from: number;
  readonly length: number;
}

/**
 * Plans the messages of a request whose pieces have these lengths in bytes, in order. Each message has at most
 * `maxBytes` bytes.
 */
export function planMessages(lengths: readonly number[], maxBytes: number = MAX_MESSAGE_BYTES): PiecePart[][] {
  let message: PiecePart[] = [];
  const messages = [message];
  let left = maxBytes;
  lengths.forEach((length, index) => {
    let from = 0;
    do {
      if (left === 0) {
        message = [];
        messages.push(message);
        left = maxBytes;
      }
      const part = Math.min(length - from, left);
      message.push({ index, from, length: part });
      left -= part;
      from += part;
    } while (from < length);
  });
  return messages;
}
