/** The entry of a worker that reports its flushes. */
import './report-flushes.js';
import '../../src/worker.js';
