/** Buffers of reads that rejected, in Node. */
import { rejectedReadsSuite } from '../suites/rejected-reads-suite.js';

rejectedReadsSuite();
