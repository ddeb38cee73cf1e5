/**
 * Declares the few web types that core may use. Without the `dom` and `webworker` libraries, `navigator`, `self` and
 * the rest stay undeclared. Each declaration contains only what core calls.
 */

interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
  throwIfAborted(): void;
}

interface AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}
declare var AbortController: { new (): AbortController };

declare function setTimeout(callback: () => void, milliseconds: number): unknown;
declare function clearTimeout(timer: unknown): void;

interface URL {
  readonly href: string;
  readonly protocol: string;
  readonly origin: string;
  readonly pathname: string;
  readonly username: string;
  readonly password: string;
}
declare var URL: { new (url: string | URL): URL };

interface RequestInit {
  method?: 'HEAD';
  headers?: Record<string, string>;
  credentials?: 'omit' | 'same-origin' | 'include';
  cache?: 'no-store';
  signal?: AbortSignal;
}

interface Response {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
}
declare function fetch(url: string, init: RequestInit): Promise<Response>;

interface Blob {
  readonly size: number;
  slice(start: number, end: number): Blob;
  arrayBuffer(): Promise<ArrayBuffer>;
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>;
}
declare var Blob: {
  new (parts: readonly Blob[]): Blob;
};

interface TextDecoder {
  decode(input: Uint8Array): string;
}
declare var TextDecoder: {
  new (label: string, options: { ignoreBOM: boolean }): TextDecoder;
};

interface TextEncoder {
  encode(input: string): Uint8Array<ArrayBuffer>;
}
declare var TextEncoder: { new (): TextEncoder };

interface ReadableStreamBYOBRequest {
  readonly view: ArrayBufferView<ArrayBuffer> | null;
  respond(bytesWritten: number): void;
}

interface ReadableByteStreamController {
  readonly byobRequest: ReadableStreamBYOBRequest | null;
  enqueue(chunk: ArrayBufferView<ArrayBuffer>): void;
  close(): void;
  error(reason: unknown): void;
}

interface ReadableStreamDefaultController<R> {
  enqueue(chunk: R): void;
  close(): void;
  error(reason: unknown): void;
}

interface UnderlyingByteSource {
  type: 'bytes';
  autoAllocateChunkSize?: number;
  pull?(controller: ReadableByteStreamController): void | Promise<void>;
  cancel?(reason: unknown): void | Promise<void>;
}

interface UnderlyingDefaultSource<R> {
  pull?(controller: ReadableStreamDefaultController<R>): void | Promise<void>;
  cancel?(reason: unknown): void | Promise<void>;
}

interface ReadableStreamDefaultReader<R> {
  read(): Promise<{ done: false; value: R } | { done: true; value: undefined }>;
  cancel(reason?: unknown): Promise<void>;
  releaseLock(): void;
}

interface ReadableStream<R> {
  readonly locked: boolean;
  getReader(): ReadableStreamDefaultReader<R>;
  cancel(reason?: unknown): Promise<void>;
}
declare var ReadableStream: {
  new (source: UnderlyingByteSource, strategy?: { highWaterMark?: number }): ReadableStream<Uint8Array<ArrayBuffer>>;
  new <R>(source: UnderlyingDefaultSource<R>, strategy?: { highWaterMark?: number }): ReadableStream<R>;
};

interface UnderlyingSink<W> {
  write?(chunk: W): void | Promise<void>;
  close?(): void | Promise<void>;
  abort?(reason: unknown): void | Promise<void>;
}

interface WritableStreamDefaultWriter<W> {
  write(chunk: W): Promise<void>;
  close(): Promise<void>;
  abort(reason?: unknown): Promise<void>;
}

interface WritableStream<W> {
  readonly locked: boolean;
  getWriter(): WritableStreamDefaultWriter<W>;
  abort(reason?: unknown): Promise<void>;
  close(): Promise<void>;
}
declare var WritableStream: {
  new <W>(sink: UnderlyingSink<W>): WritableStream<W>;
};

/** Both ends of a compressor or a decompressor. */
interface ByteTransform {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array>;
}
declare var CompressionStream: { new (format: 'gzip'): ByteTransform };
declare var DecompressionStream: { new (format: 'gzip'): ByteTransform };

interface MessagePort {
  onmessage: (() => void) | null;
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  close(): void;
}

interface MessageChannel {
  readonly port1: MessagePort;
  readonly port2: MessagePort;
}
declare var MessageChannel: { new (): MessageChannel };
