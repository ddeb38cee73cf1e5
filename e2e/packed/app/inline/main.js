/** Keeps an image, in a worker that is in the bundle. */
import { openStore } from 'qcow2-opfs/inline';
import { show } from '../keep-image.js';

show(openStore);
