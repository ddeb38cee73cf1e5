/** The source over HTTP, in Node. */
import { httpSuite } from '../suites/http-suite.js';

httpSuite();
