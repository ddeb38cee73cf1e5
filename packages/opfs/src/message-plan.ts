/** Divides a request into messages of a bounded size: what crosses is copied once more, and browsers refuse to send about 2 GiB. */

/** The most bytes that one message carries, and so the most that is copied at once. */
export const MAX_MESSAGE_BYTES: number = 32 * 1024 * 1024;

/** A piece of a request: how long it is, and whether its bytes are in the message. Shared and transferred memory is not. */
export interface RequestPiece {
  readonly length: number;
  readonly carried: boolean;
}

/** A part of a piece: which, from where in it, and how many bytes. */
export interface PiecePart {
  readonly index: number;
  readonly from: number;
  readonly length: number;
}

/** The messages of a request, in the order of its pieces, each of no more than `most` carried bytes. */
export function planMessages(pieces: readonly RequestPiece[], most: number = MAX_MESSAGE_BYTES): PiecePart[][] {
  let message: PiecePart[] = [];
  const messages = [message];
  let room = most;
  pieces.forEach(({ length, carried }, index) => {
    let from = 0;
    do {
      if (carried && room === 0) {
        message = [];
        messages.push(message);
        room = most;
      }
      const part = carried ? Math.min(length - from, room) : length;
      message.push({ index, from, length: part });
      if (carried) room -= part;
      from += part;
    } while (from < length);
  });
  return messages;
}
