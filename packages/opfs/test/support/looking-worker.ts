/** The entry of a worker that counts what it asks of its files. */
import './tell-looks.js';
import '../../src/worker.js';
