/** The writable stream in Node. */
import { writableSuite } from '../suites/writable-suite.js';

writableSuite();
