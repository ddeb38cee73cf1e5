/** The entry of a worker that tells of its flushes. */
import './tell-flushes.js';
import '../../src/worker.js';
