/** Buffers of reads that rejected, in browsers. */
import { rejectedReadsSuite } from '../suites/rejected-reads-suite.js';

rejectedReadsSuite();
