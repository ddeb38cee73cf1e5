/** What the first cluster of an image says of it, where the image itself is not opened. */
import type { ImageSummary } from '../api/info.js';
import { type FirstCluster, geometryIn } from '../engine/layer/metadata.js';
import { diskSizeOf } from '../format/header.js';
import { summaryOf } from './info.js';
import { backingFormatIn, backingNameIn, dataFileNameIn } from './named-files.js';

/**
 * What the header says of an image whose file has `fileSize` bytes.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt` when the header says what no table can be; what the tables hold
 *   is not known.
 */
export async function imageSummary(first: FirstCluster, fileSize: number): Promise<ImageSummary> {
  const backingFile = backingNameIn(first) ?? undefined;
  return summaryOf({
    ...first,
    geometry: await geometryIn(first, fileSize),
    virtualSize: diskSizeOf(first.header),
    fileSize,
    backingFile,
    backingFormat: backingFile === undefined ? undefined : backingFormatIn(first),
    dataFile: dataFileNameIn(first) || undefined,
  });
}
