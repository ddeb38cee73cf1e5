/** Keeps an image, in a worker whose script the bundler finds. */
import { openStore } from 'qcow2-opfs';
import { show } from '../keep-image.js';

show(openStore);
