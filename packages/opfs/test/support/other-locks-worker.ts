/** The entry of a worker that shares no locks with its page. */
import './take-locks.js';
import '../../src/worker.js';
