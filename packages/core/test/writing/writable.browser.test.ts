/** The writable stream in browsers. */
import { writableSuite } from '../suites/writable-suite.js';

writableSuite();
