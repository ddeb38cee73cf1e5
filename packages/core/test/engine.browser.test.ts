/** The engine over every source that browsers have. */
import { engineSuite } from './suites/engine-suite.js';
import { RecordingSource } from './suites/recording-source.js';

engineSuite('bytes', (bytes) => bytes);
engineSuite('a Blob', (bytes) => new Blob([bytes]));
engineSuite('a File', (bytes) => new File([bytes], 'disk.qcow2'));
engineSuite('an asynchronous source', (bytes) => new RecordingSource(bytes, { asynchronous: true }));
