/** The entry of the worker; everything it does is in service.ts, and in flusher.ts where another worker has started it. */
import { expose } from 'comlink';
import { FLUSHER_NAME, Flusher } from './flusher.js';
import { Service } from './service.js';

expose(self.name === FLUSHER_NAME ? new Flusher() : new Service());
