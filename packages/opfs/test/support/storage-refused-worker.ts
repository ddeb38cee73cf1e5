/** The entry of a worker whose storage is refused. */
import './refuse-storage.js';
import '../../src/worker.js';
