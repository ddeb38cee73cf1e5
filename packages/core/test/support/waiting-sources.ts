/** Every kind of source of this library that makes its caller wait, over the same bytes. */
import {
  asyncBufferSource,
  type ByteSource,
  blobSource,
  httpSource,
  withCache,
  withCoalescing,
} from '../../src/index.js';
import { host } from './http/hosted.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** By name, what makes one. */
export const WAITING_SOURCES: Readonly<Record<string, (bytes: Uint8Array<ArrayBuffer>) => Promise<ByteSource>>> = {
  'a Blob': async (bytes) => blobSource(new Blob([bytes])),
  'a web server': async (bytes) => httpSource((await host(bytes, { etag: '"1"' })).url),
  'an AsyncBuffer': async (bytes) => asyncBufferSource(bytes.buffer),
  'a cache': async (bytes) => withCache(asyncBufferSource(bytes.buffer)),
  withCoalescing: async (bytes) => withCoalescing(asyncBufferSource(bytes.buffer), { gap: 16 * KIB, longest: MIB }),
  'a cache over withCoalescing': async (bytes) => withCache(withCoalescing(asyncBufferSource(bytes.buffer))),
};
