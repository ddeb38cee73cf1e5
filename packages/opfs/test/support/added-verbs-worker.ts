/** The entry of a worker whose images have verbs that only a test adds. */
import './added-verbs.js';
import '../../src/worker.js';
