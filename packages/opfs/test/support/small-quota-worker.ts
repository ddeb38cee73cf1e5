/** The entry of a worker whose files are short. */
import './small-quota.js';
import '../../src/worker.js';
