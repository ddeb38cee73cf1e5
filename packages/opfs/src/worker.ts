/** The entry of the worker; everything it does is in service.ts. */
import { expose } from 'comlink';
import { Service } from './service.js';

expose(new Service());
