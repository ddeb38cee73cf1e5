/** The engine over every source that browsers have. */
import { httpSource } from '../src/index.js';
import { engineSuite } from './suites/engine-suite.js';
import { host } from './support/http/hosted.js';
import { RecordingSource } from './support/recording-source.js';

engineSuite('bytes', (bytes) => bytes);
engineSuite('a Blob', (bytes) => new Blob([bytes]));
engineSuite('a File', (bytes) => new File([bytes], 'disk.qcow2'));
engineSuite('an asynchronous source', (bytes) => new RecordingSource(bytes, { asynchronous: true }));
engineSuite('HTTP', async (bytes) => httpSource((await host(bytes)).url));
