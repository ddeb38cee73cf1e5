/** The worker's entry. Its work is done in service.ts. */
import { expose } from 'comlink';
import { Service } from './worker/service.js';

expose(new Service());
