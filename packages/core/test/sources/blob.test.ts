/** The source over a Blob, in Node. */
import { blobSuite } from '../suites/blob-suite.js';

blobSuite();
