/**
 * Owns the web server of the tests: real HTTP on a port of its own of 127.0.0.1. A test puts a file and its plan there,
 * reads it, and asks what was asked. All of it goes over HTTP, so that a test in a browser can do the same.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Fault, FilePlan, Seen } from './plan.js';

interface Served {
  bytes: Buffer;
  plan: FilePlan;
  seen: Seen[];
}

/** What is handed to a connection at once, so that a reader who leaves does not get it all. */
const CHUNK = 64 * 1024;

/** A server that runs. */
export interface TestServer {
  /** Its address, without a slash at the end. */
  readonly origin: string;
  close(): Promise<void>;
}

/** Starts a server on a free port. */
export async function startServer(): Promise<TestServer> {
  const files = new Map<string, Served>();
  const server = createServer((request, response) => {
    handle(files, request, response).catch((error) => response.destroy(error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, close: () => stop(server) };
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function handle(files: Map<string, Served>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://server');
  const [, verb, id = ''] = pathname.split('/');
  if (verb === 'file') return serve(files.get(id), request, response);
  // What tests say to the server, from any origin.
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Allow-Methods', '*');
  response.setHeader('Access-Control-Allow-Headers', '*');
  const body = await bodyOf(request);
  if (request.method === 'PUT' && verb === 'bytes') {
    files.set(id, { plan: {}, seen: [], ...files.get(id), bytes: body });
  } else if (request.method === 'PUT' && verb === 'plan') {
    const plan: FilePlan = JSON.parse(String(body));
    const bytes = files.get(plan.like ?? id)?.bytes ?? Buffer.alloc(0);
    files.set(id, { seen: [], ...files.get(id), bytes, plan });
  } else if (verb === 'seen') {
    response.end(JSON.stringify(files.get(id)?.seen ?? []));
    return;
  }
  response.end();
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function serve(file: Served | undefined, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (file === undefined) {
    response.writeHead(404, { 'Access-Control-Allow-Origin': '*' }).end('nothing here');
    return;
  }
  const { plan } = file;
  const bytes = plan.zeros === undefined ? file.bytes : Buffer.alloc(plan.zeros);
  const seen = write(file.seen, request);
  response.on('close', () => {
    seen.status = response.statusCode;
    seen.left = !response.writableFinished;
  });
  cors(plan, request, response);
  if (request.method === 'OPTIONS') {
    response.end();
    return;
  }
  if (plan.delay !== undefined) await new Promise((resolve) => setTimeout(resolve, plan.delay));
  const fault = plan.faults?.shift() ?? { kind: 'none' };
  if (fault.kind === 'silence') return;
  if (fault.kind === 'status') {
    if (fault.retryAfter !== undefined) response.setHeader('Retry-After', fault.retryAfter);
    response.writeHead(fault.status).end('an error page');
    return;
  }
  if (plan.etag !== undefined) response.setHeader('ETag', plan.etag);
  if (plan.lastModified !== undefined) response.setHeader('Last-Modified', plan.lastModified);
  const { length } = file.seen;
  if (plan.changingValidator === 'etag') response.setHeader('ETag', `"${length}"`);
  if (plan.changingValidator === 'last-modified')
    response.setHeader('Last-Modified', new Date(length * 1000).toUTCString());
  await send(response, seen, headOf(plan, fault, seen, bytes, response), fault);
}

function write(log: Seen[], { method = '', headers }: IncomingMessage): Seen {
  const range = /^bytes=(.*)$/.exec(headers.range ?? '')?.[1] ?? null;
  const seen = { method, range, headers: headers as Record<string, string>, status: 0, sent: 0, left: false };
  log.push(seen);
  return seen;
}

function cors({ cors = 'exposed' }: FilePlan, { headers }: IncomingMessage, response: ServerResponse): void {
  if (cors === 'none') return;
  response.setHeader('Access-Control-Allow-Origin', headers.origin ?? '*');
  response.setHeader('Access-Control-Allow-Headers', 'x-key');
  if (cors === 'exposed')
    response.setHeader('Access-Control-Expose-Headers', 'Content-Range, ETag, Retry-After, Content-Encoding');
}

/** Sets status and headers, and answers the bytes that the body is to be. */
function headOf(
  { ranges = true, maxBytes: max, pastEnd: past = 'part' }: FilePlan,
  fault: Fault,
  seen: Seen,
  bytes: Buffer,
  response: ServerResponse,
): Buffer {
  const requested = /^(\d+)-(\d+)$/.exec(seen.range ?? '');
  const isPast = requested !== null && Number(requested[2]) >= bytes.length;
  if (!ranges || fault.kind === 'whole' || requested === null || (isPast && past === 'whole')) {
    response.writeHead(200, { 'Content-Length': bytes.length });
    return bytes;
  }
  const start = Number(requested[1]);
  const end = Math.min(Number(requested[2]) + 1, bytes.length, start + (max ?? bytes.length));
  if (start >= bytes.length || (isPast && past !== 'part')) {
    response.writeHead(416, past === '416 without size' ? {} : { 'Content-Range': `bytes */${bytes.length}` });
    return Buffer.from('no such range');
  }
  let body = bytes.subarray(start, end);
  if (fault.kind === 'short') body = body.subarray(0, fault.length);
  if (fault.kind === 'long') body = Buffer.concat([body, Buffer.alloc(fault.extra)]);
  const range = fault.kind === 'content-range' ? fault.value : `bytes ${start}-${end - 1}/${bytes.length}`;
  if (range !== '') response.setHeader('Content-Range', range);
  if (fault.kind === 'gzip') {
    body = gzipSync(body);
    response.setHeader('Content-Encoding', 'gzip');
  }
  if (fault.kind === 'encoding') response.setHeader('Content-Encoding', fault.value);
  response.writeHead(206, { 'Content-Length': body.length });
  return body;
}

async function send(response: ServerResponse, seen: Seen, body: Buffer, fault: Fault): Promise<void> {
  const end = fault.kind === 'drop' ? fault.after : fault.kind === 'stall' ? body.length >> 1 : body.length;
  for (let at = 0; at < end && !response.destroyed; at += CHUNK) {
    const chunk = body.subarray(at, Math.min(end, at + CHUNK));
    seen.sent += chunk.length;
    if (fault.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.pause));
    if (!response.write(chunk)) await drained(response);
  }
  if (fault.kind === 'drop') {
    // What was written must be on its way before the connection is cut.
    await new Promise((resolve) => setTimeout(resolve, 50));
    response.socket?.resetAndDestroy();
  } else if (fault.kind !== 'stall') {
    response.end();
  }
}

/** Until the connection takes more, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
