/** The source over HTTP, in Node. */
import { httpFailuresSuite } from '../suites/http-failures-suite.js';
import { httpServersSuite } from '../suites/http-servers-suite.js';
import { httpSuite } from '../suites/http-suite.js';

httpSuite();
httpFailuresSuite();
httpServersSuite();
