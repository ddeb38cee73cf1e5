/** Runs other programs and waits for them. Signals that stop this process stop them too. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The root of the repository, with a separator at its end. */
export const root = fileURLToPath(new URL('..', import.meta.url));

const windows = process.platform === 'win32';

/**
 * The running programs, and the signal with which each cleans up and ends.
 *
 * @type {Map<import('node:child_process').ChildProcess, NodeJS.Signals>}
 */
const running = new Map();

/**
 * @typedef {object} RunOptions
 * @property {string} [cwd] default: the root of the repository
 * @property {Record<string, string>} [env] added to this process's own
 * @property {NodeJS.Signals} [stopWith] default: SIGTERM
 */

/**
 * Runs a program with its output shown. Resolves when it ends with status 0.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<void>}
 */
export function run(program, args, { cwd = root, env = {}, stopWith = 'SIGTERM' } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
      // In its own process group, it and its children get one signal, from here, and none from the terminal.
      detached: !windows,
      shell: windows, // npx and the programs of node_modules are .cmd files there
    });
    running.set(child, stopWith);
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
 * Runs a program of a development dependency.
 *
 * @param {string} name
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 */
export function runTool(name, args, options) {
  return run(`${root}node_modules/.bin/${name}`, args, options);
}

/**
 * On a signal to end, stops all running programs, calls `cleanUp`, and exits. A second signal exits at once.
 *
 * @param {() => Promise<void> | void} [cleanUp]
 */
export function endOnSignals(cleanUp) {
  let ending = false;
  /** @param {'SIGINT' | 'SIGTERM' | 'SIGHUP'} signal */
  const end = async (signal) => {
    const ends = [...running].map(([child, stopWith]) => stop(child, ending ? 'SIGKILL' : stopWith));
    if (!ending) {
      ending = true;
      await Promise.all([...ends, cleanUp?.()]);
    }
    process.exit(128 + constants.signals[signal]);
  };
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, end);
  endWithNpm(() => end('SIGTERM'));
}

/**
 * Sends a signal to a program and its children. Resolves when it has ended.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
function stop(child, signal) {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  if (windows || child.pid === undefined) child.kill(signal);
  else process.kill(-child.pid, signal);
  return ended;
}

/**
 * npm runs a script through a shell, and a signal to npm ends that shell but does not reach this process. Detects that
 * the parent has ended.
 *
 * @param {() => void} end
 */
function endWithNpm(end) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    end();
  }, 500).unref();
}
