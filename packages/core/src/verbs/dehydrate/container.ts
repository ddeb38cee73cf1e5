/** Reads an image's metadata, and gives them in the container of a dehydrated image. */

import type { ByteSource, Transfer } from '../../api/device.js';
import type { DehydrateOptions } from '../../api/options.js';
import { progressOf } from '../../engine/async/progress.js';
import { viewOf } from '../../format/bytes.js';
import {
  type DehydratedRecord,
  encodeDehydratedHeader,
  encodeRecordHeader,
  MAX_RECORD_BYTES,
  RECORD_HEADER_BYTES,
} from '../../format/dehydrated.js';
import { metadataOf } from './metadata-ranges.js';
import type { RangeSet } from './range-set.js';

/** Bytes of records that are read in one batch. */
const BATCH_BYTES: number = MAX_RECORD_BYTES;

/** The container of the image in `source`, in chunks of about 1 MiB. */
export async function* containerOf(
  source: ByteSource,
  options: DehydrateOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const { names = true, signal } = options;
  const metadata = await metadataOf(source, options);
  const progress = progressOf(options, 'dehydrate', metadata.ranges.total);
  let done = 0;
  yield encodeDehydratedHeader(metadata.fileSize);
  for (const records of batchesOf(metadata.ranges, metadata.fileSize)) {
    const { chunk, transfers } = placed(records);
    if (transfers.length > 0) await source.read(transfers, signal);
    signal?.throwIfAborted();
    for (const { at, bytes } of transfers) {
      if (!names) metadata.names.replaceIn(bytes, at);
      done += bytes.length;
    }
    yield chunk;
    progress(done);
  }
}

/** The records of the container, in batches; the last record is the end. */
function* batchesOf(ranges: RangeSet, fileSize: number): Generator<DehydratedRecord[], void, undefined> {
  let batch: DehydratedRecord[] = [];
  let bytes = 0;
  for (const record of recordsOf(ranges)) {
    if (bytes + record.length > BATCH_BYTES) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(record);
    bytes += record.length + RECORD_HEADER_BYTES;
  }
  batch.push({ offset: fileSize, length: 0 });
  yield batch;
}

function* recordsOf(ranges: RangeSet): Generator<DehydratedRecord, void, undefined> {
  for (const { start, end } of ranges.runs()) {
    for (let offset = start; offset < end; offset += MAX_RECORD_BYTES) {
      yield { offset, length: Math.min(MAX_RECORD_BYTES, end - offset) };
    }
  }
}

/** A chunk with the headers of the records, and the transfers that fill in their bytes. */
function placed(records: readonly DehydratedRecord[]): { chunk: Uint8Array<ArrayBuffer>; transfers: Transfer[] } {
  const length = records.reduce((sum, record) => sum + RECORD_HEADER_BYTES + record.length, 0);
  const chunk = new Uint8Array(length);
  const view = viewOf(chunk);
  const transfers: Transfer[] = [];
  let at = 0;
  for (const record of records) {
    encodeRecordHeader(view, at, record);
    at += RECORD_HEADER_BYTES;
    if (record.length > 0) transfers.push({ at: record.offset, bytes: chunk.subarray(at, at + record.length) });
    at += record.length;
  }
  return { chunk, transfers };
}
