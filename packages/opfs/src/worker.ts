/** The entry of the worker; everything it does is in service.ts. */
import { expose } from 'comlink';
import { Service } from './worker/service.js';

expose(new Service());
