/** Buffers that lose their memory under a request, in browsers. */
import { lostBuffersSuite } from '../suites/lost-buffers-suite.js';

lostBuffersSuite();
