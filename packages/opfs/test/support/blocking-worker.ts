/** The entry of a worker whose handles block it when they are closed. */
import './block-close.js';
import '../../src/worker.js';
