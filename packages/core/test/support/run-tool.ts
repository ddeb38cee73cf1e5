/**
 * Runs programs from a small process. To start one, the process that asks is copied, and one that has run many tests
 * holds a gigabyte: the copying of its page tables took longer than qemu-img itself. So one shell is started early,
 * and asked through two pipes.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a program printed, and its exit status. */
export interface ToolResult {
  readonly status: number;
  readonly out: string;
  readonly error: string;
}

/** Runs a command for each line that arrives; ends, and removes its folder, when the process that asks has ended. */
const SHELL = `
cd "$1" || exit 1
exec 3<requests 4>answers
while read -r _ <&3; do
  ( . ./command ) >out 2>error </dev/null 3<&- 4>&-
  echo "$?" >&4
done
rm -r "$1"
`;

class Shell {
  readonly #folder = mkdtempSync(join(tmpdir(), 'qcow2-shell-'));
  readonly #requests: number;
  readonly #responses: number;

  constructor() {
    const pipes = ['requests', 'answers'].map((name) => join(this.#folder, name));
    const { status } = spawnSync('mkfifo', pipes);
    if (status !== 0) throw new Error('mkfifo failed, with which the tests start programs.');
    spawn('sh', ['-c', SHELL, 'sh', this.#folder], { stdio: 'ignore' }).unref();
    this.#requests = openSync(pipes[0]!, 'w');
    this.#responses = openSync(pipes[1]!, 'r');
  }

  run(tool: string, args: readonly string[], cwd: string): ToolResult {
    const words = [tool, ...args].map(quoted).join(' ');
    writeFileSync(join(this.#folder, 'command'), `cd ${quoted(cwd)} || exit 127\nexec ${words}\n`);
    writeSync(this.#requests, '\n');
    const response = new Uint8Array(16);
    const length = readSync(this.#responses, response);
    const status = Number.parseInt(Buffer.from(response.subarray(0, length)).toString(), 10);
    if (Number.isNaN(status)) throw new Error('The shell that starts programs has ended.');
    // What a shell says of a program that is not there, or that may not be run.
    if (status === 126 || status === 127) throw new Error(`${tool} cannot be run: ${this.#text('error')}`);
    return { status, out: this.#text('out'), error: this.#text('error') };
  }

  #text(name: string): string {
    return readFileSync(join(this.#folder, name), 'utf8');
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Started when this module is loaded: from then on the process only grows. */
const shell = new Shell();

/** Runs a program in a folder, and waits for its end. */
export function runTool(tool: string, args: readonly string[], cwd: string): ToolResult {
  return shell.run(tool, args, cwd);
}

/**
 * Runs a program in a folder, which must succeed; returns what it prints.
 *
 * @throws Error with what it printed
 */
export function runToolOrThrow(tool: string, args: readonly string[], cwd: string): string {
  const { status, out, error } = runTool(tool, args, cwd);
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')} ended with status ${status}: ${out}${error}`);
  return out;
}

/** CPU time after which {@link runToolLimited} ends a program, seconds. */
const CPU_SECONDS = 10;

/** Runs a program in a folder, and ends it when it computes too long: damaged images may send qemu-img in circles. */
export function runToolLimited(tool: string, args: readonly string[], cwd: string): ToolResult {
  return runTool('sh', ['-c', `ulimit -t ${CPU_SECONDS} && exec "$@"`, 'sh', tool, ...args], cwd);
}
