/** Loads the decompressor of an image. */
import type { Codec } from '../../engine/layer/codec.js';
import { COMPRESSION_TYPE, type Header } from '../../format/header.js';

/** The codec for a header's compression type. It is loaded when an image is opened, so that no read waits for it. */
export async function codecFor(header: Header): Promise<Codec> {
  if (header.compressionType === COMPRESSION_TYPE.zstd) {
    const zstd = await import('../../codecs/zstd.js');
    return zstd.zstdCodec();
  }
  const deflate = await import('../../codecs/deflate.js');
  return deflate.deflateCodec();
}
