/** Keeps the cursors open in the worker, by the number of the call that opened each. */
import { Qcow2Error } from 'qcow2';
import { onAbort } from 'qcow2/internal';
import type { CursorPacket } from '../../protocol/messages.js';
import type { CallReports } from '../calls/call-reports.js';
import { Cursor, type Packets } from './cursor.js';

/** Opens the packets of a cursor. The signal and the reports last as long as the cursor. */
export type OpenPackets = (options: {
  signal: AbortSignal;
  onProgress: CallReports['onProgress'];
  onLost: CallReports['onLost'];
}) => Promise<Packets>;

/** The cursors of one worker. */
export class OpenCursors {
  readonly #cursors = new Map<number, Cursor>();

  /**
   * Opens a cursor.
   *
   * @param image the number of the image that it reads; its own number if it has opened that image itself
   * @param opening aborts when the page gives up before it is open
   * @throws whatever `packets` throws; the signal's reason
   */
  async open(id: number, image: number, opening: AbortSignal, reports: CallReports, open: OpenPackets): Promise<void> {
    const controller = new AbortController();
    const removeListener = onAbort(opening, () => controller.abort());
    const { onProgress, onLost } = reports;
    const packets = await open({ signal: controller.signal, onProgress, onLost }).finally(removeListener);
    const cursor = new Cursor(image, packets, reports, controller);
    if (opening.aborted) {
      await cursor.release();
      opening.throwIfAborted();
    }
    this.#cursors.set(id, cursor);
  }

  /**
   * The next packet of a cursor, or null at its end.
   *
   * @throws {@link Qcow2Error} `closed` when it was released, also with its image; what reading throws
   */
  async next(id: number): Promise<CursorPacket> {
    const cursor = this.#cursors.get(id);
    if (!cursor) throw new Qcow2Error('closed', 'The image was closed while it was being read.');
    return cursor.next();
  }

  /** Aborts the pending read of a cursor. Does nothing if it is released. */
  abort(id: number): void {
    this.#cursors.get(id)?.abort();
  }

  /** Releases a cursor. Does nothing if it is released already. */
  async release(id: number): Promise<void> {
    const cursor = this.#cursors.get(id);
    this.#cursors.delete(id);
    await cursor?.release();
  }

  /** Releases the cursors of those images. */
  async releaseOf(images: readonly number[]): Promise<void> {
    const ids = [...this.#cursors].filter(([, cursor]) => images.includes(cursor.image)).map(([id]) => id);
    await Promise.all(ids.map((id) => this.release(id)));
  }

  /** Releases every cursor. */
  async releaseAll(): Promise<void> {
    await Promise.all([...this.#cursors.keys()].map((id) => this.release(id)));
  }
}
