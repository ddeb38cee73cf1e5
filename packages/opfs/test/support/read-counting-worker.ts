/** The entry of a worker that counts its reads of files. */
import './count-reads.js';
import '../../src/worker.js';
