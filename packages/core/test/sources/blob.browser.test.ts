/** The source over a Blob, in browsers. */
import { blobSuite } from '../suites/blob-suite.js';

blobSuite();
