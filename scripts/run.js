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
 * When this process is told to end, passes the signal on to whatever runs, calls `cleanUp`, and ends.
 *
 * @param {() => Promise<void> | void} [cleanUp]
 */
export function endOnSignals(cleanUp) {
  let ending = false;
  /** @param {'SIGINT' | 'SIGTERM' | 'SIGHUP'} signal */
  const end = async (signal) => {
    if (ending) return;
    ending = true;
    const ends = [...running].map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of running) child.kill(signal);
    await Promise.all([...ends, cleanUp?.()]);
    process.exit(128 + constants.signals[signal]);
  };
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, end);
  endWithNpm(() => end('SIGTERM'));
}

/**
 * npm runs a script through a shell, and a signal sent to npm ends that shell but does not reach us: notice that we
 * have been left behind.
 *
 * @param {() => void} end
 */
function endWithNpm(end) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && end(), 500).unref();
}
