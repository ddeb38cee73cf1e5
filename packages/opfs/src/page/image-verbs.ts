/** Defines the methods of an image from the table of verbs. Each sends its call to the worker as its row describes. */
import type { Disk } from 'qcow2';
import type { CursorPacket } from '../protocol/messages.js';
import { type SplitArguments, splitArguments } from '../protocol/verb-arguments.js';
import { type CalledVerb, type CursorVerb, type Row, rowOf, VERBS, type Verb } from '../protocol/verbs.js';
import { itemsOf } from './cursor-iterator.js';
import { guestStream } from './guest-stream.js';
import type { ImageChannel } from './image-channel.js';
import { RemoteCursor } from './remote-cursor.js';
import { wireReports } from './wire-reports.js';

/** The methods that {@link defineVerbs} defines. Their doc comments are those of `Disk`. */
export type VerbMethods = Pick<Disk, Verb>;

/** Defines a method for each row of the table. */
export function defineVerbs<Image extends object>(prototype: Image, channelOf: (image: Image) => ImageChannel): void {
  for (const verb of Object.keys(VERBS) as Verb[]) {
    const value = function (this: Image, ...given: unknown[]): unknown {
      return send(channelOf(this), verb, given);
    };
    Object.defineProperty(prototype, verb, { value, configurable: true, writable: true });
  }
}

function send(channel: ImageChannel, verb: Verb, given: readonly unknown[]): unknown {
  const row = rowOf(verb);
  if (row.kind === 'bytes') {
    return guestStream(cursorOf<Uint8Array<ArrayBuffer>>(channel, verb as CursorVerb, row, given));
  }
  if (row.kind === 'items') {
    const open = () => cursorOf<Float64Array<ArrayBuffer>>(channel, verb as CursorVerb, row, given);
    return itemsOf(open, row.packing.unpack);
  }
  return invoke(channel, verb as CalledVerb, row, given);
}

/** The arguments to send. What the engine would refuse is refused here, before anything is sent. */
function checkedArguments(channel: ImageChannel, row: Row, given: readonly unknown[]): SplitArguments {
  row.validate(channel.info.virtualSize, ...given);
  return splitArguments(row, given);
}

/** Calls a verb that has a single result. */
async function invoke(channel: ImageChannel, verb: CalledVerb, row: Row, given: readonly unknown[]): Promise<unknown> {
  channel.requireOpen();
  const { args, options } = checkedArguments(channel, row, given);
  const reports = wireReports(options);
  if (row.kind === 'change') channel.changing();
  const flushed = row.kind === 'flush' ? channel.flushing() : undefined;
  try {
    const { value, changed } = await channel.call(
      (worker, call) => worker.invoke(call, channel.target.id, verb, args, reports),
      options,
    );
    if (changed) channel.changed(changed);
    flushed?.();
    return value;
  } catch (error) {
    // Then `close` has no earlier loss left to report. Other verbs may have been refused before they flushed.
    if (verb === 'flush') flushed?.();
    if (row.kind !== 'value') await refresh(channel);
    throw error;
  }
}

/** Gets the state of the image after a change that failed, a part of which may have been made. */
async function refresh(channel: ImageChannel): Promise<void> {
  const current = channel.call((worker, call) => worker.state(call, channel.target.id));
  // Without a worker, or once the image is closed, there is none.
  await current.then(channel.changed, () => {});
}

function cursorOf<Packet extends NonNullable<CursorPacket>>(
  channel: ImageChannel,
  verb: CursorVerb,
  row: Row,
  given: readonly unknown[],
): RemoteCursor<Packet | null> {
  const { connection, id: image } = channel.target;
  const { args, options } = checkedArguments(channel, row, given);
  const reports = wireReports(options);
  return new RemoteCursor<Packet | null>(
    connection,
    (id, call) => channel.call((worker) => worker.openCursor(id, image, verb, args, reports), call, id),
    options,
  );
}
