/** The entry of a worker whose files are slow. */
import './slow-files.js';
import '../../src/worker.js';
