/** The engine over every source that Node has. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { fileSource } from '../node/index.js';
import { httpSource } from '../src/index.js';
import { engineSuite } from './suites/engine-suite.js';
import { host } from './support/http/hosted.js';
import { RecordingSource } from './support/recording-source.js';

const folder = mkdtempSync(join(tmpdir(), 'qcow2-engine-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

engineSuite('bytes', (bytes) => bytes);
engineSuite('an ArrayBuffer', (bytes) => bytes.buffer);
engineSuite('a Blob', (bytes) => new Blob([bytes]));
engineSuite('a file', (bytes) => {
  const path = join(folder, `${files++}.img`);
  writeFileSync(path, bytes);
  return fileSource(path);
});
engineSuite('a synchronous source', (bytes) => new RecordingSource(bytes));
engineSuite('an asynchronous source', (bytes) => new RecordingSource(bytes, { asynchronous: true }));
engineSuite('HTTP', async (bytes) => httpSource((await host(bytes)).url));
