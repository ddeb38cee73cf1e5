/** Calls the verbs of the table on an image of the engine. */
import type { Disk, SalvageOptions } from 'qcow2';
import { joinArguments } from '../../protocol/verb-arguments.js';
import { type CalledVerb, type CursorVerb, rowOf, type Verb } from '../../protocol/verbs.js';
import { bytePackets, itemPackets, type Packets } from '../cursors/cursor.js';

/** Calls a verb and resolves with its result. Throws what the verb throws. */
export async function callVerb(
  disk: Disk,
  verb: CalledVerb,
  args: readonly unknown[],
  options: SalvageOptions,
): Promise<unknown> {
  return result(disk, verb, args, options);
}

/** Calls a verb that returns items or bytes. Throws what the verb throws synchronously. */
export function packetsOf(disk: Disk, verb: CursorVerb, args: readonly unknown[], options: SalvageOptions): Packets {
  const row = rowOf(verb);
  const source = result(disk, verb, args, options);
  if (row.kind === 'items') return itemPackets(source as AsyncIterable<unknown>, row.packing.pack);
  return bytePackets(source as ReadableStream<Uint8Array<ArrayBuffer>>);
}

/** Types were checked on the page, whose methods and the engine's have the same interface. */
function result(disk: Disk, verb: Verb, args: readonly unknown[], options: SalvageOptions): unknown {
  const method = disk[verb] as (...given: unknown[]) => unknown;
  return method.apply(disk, joinArguments(rowOf(verb), { args, options }));
}
