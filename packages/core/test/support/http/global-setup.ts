/** Owns the web server's life: started before the tests of a project, wherever they run, and stopped after them. */
import type { TestProject } from 'vitest/node';
import { startServer } from './server.js';

/** Vitest calls it; what it answers is called at the end. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer();
  project.provide('httpOrigin', server.origin);
  return () => server.close();
}
