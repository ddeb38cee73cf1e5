/** Runs other programs and waits for them; what stops this process stops them too. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The root of the repository, with a separator at its end. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/**
 * Runs a program in the root of the repository, with its output shown. Resolves when it ends with status 0.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string> }} [options]
 * @returns {Promise<void>}
 */
export function run(program, args, { cwd = root, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
      shell: process.platform === 'win32', // npx and the programs of node_modules are .cmd files there
    });
    running.add(child);
    child.once('error', (cause) => {
      running.delete(child);
      reject(new Error(`${program} cannot be run: ${cause.message}`, { cause }));
    });
    child.once('exit', (status, signal) => {
      running.delete(child);
      if (status === 0) resolve();
      else reject(new Error(`${[program, ...args].join(' ')} ended with ${signal ?? `status ${status}`}`));
    });
  });
}

/**
 * Runs a program that a development dependency brings.
 *
 * @param {string} name
 * @param {readonly string[]} args
 */
export function runTool(name, args) {
  return run(`${root}node_modules/.bin/${name}`, args);
}

/**
 * On SIGINT, SIGTERM or SIGHUP passes the signal on to whatever runs, calls `cleanUp`, and ends this process.
 *
 * @param {() => Promise<void> | void} [cleanUp]
 */
export function endOnSignals(cleanUp) {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, async () => {
      const ends = [...running].map((child) => new Promise((resolve) => child.once('exit', resolve)));
      for (const child of running) child.kill(signal);
      await Promise.all([...ends, cleanUp?.()]);
      process.exit(128 + constants.signals[signal]);
    });
  }
}
