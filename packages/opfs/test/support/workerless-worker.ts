/** The entry of a worker that cannot start another. */
import './refuse-workers.js';
import '../../src/worker.js';
