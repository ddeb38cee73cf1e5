/** Runs `npm start` unchanged. Tests what it serves, and that no process is left after a signal to end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';

let child: ChildProcess | undefined;

afterEach(() => {
  child?.kill('SIGKILL');
});

/** Starts the script in an environment without vitest's settings, which would change the build. */
function start(): ChildProcess {
  const env = Object.entries(process.env).filter(([name]) => !/^(NODE_ENV|VITE|npm_)/.test(name));
  const script = fileURLToPath(new URL('../start.js', import.meta.url));
  return spawn(process.execPath, [script], { env: Object.fromEntries(env), stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Returns the URL that the script prints when it serves. */
async function readAddress(process: ChildProcess): Promise<string> {
  let printed = '';
  for await (const chunk of process.stdout!) {
    printed += chunk;
    const address = /at (http:\/\/localhost:\d+\/)/.exec(printed)?.[1];
    if (address) return address;
  }
  throw new Error(`It ended without an address:\n${printed}`);
}

test('installs, builds, serves the page with cross-origin isolation, and ends on SIGTERM', {
  timeout: 180_000,
}, async () => {
  child = start();
  const address = await readAddress(child);
  const response = await fetch(address);
  expect(response.status).toBe(200);
  expect(response.headers.get('cross-origin-opener-policy')).toBe('same-origin');
  expect(response.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
  const script = /src="([^"]+\.js)"/.exec(await response.text())?.[1];
  expect((await fetch(new URL(script ?? 'none', address))).headers.get('content-type')).toContain('javascript');

  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([143, null]);
  await expect(fetch(address)).rejects.toThrow();
});
