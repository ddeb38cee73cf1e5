/** The entry of a worker whose files cannot be moved. */
import './without-move.js';
import '../../src/worker.js';
