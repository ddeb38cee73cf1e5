/** Finds the processes of a browser with a given profile. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A process of the machine. */
export interface Process {
  readonly pid: number;
  readonly command: string;
  /** Memory that it uses now, bytes. */
  readonly memory: number;
}

/**
 * The processes of the browser whose profile is in `folder`: those with it on their command line, and their
 * descendants.
 */
export async function processesOf(folder: string): Promise<Process[]> {
  const { stdout } = await run('ps', ['-ww', '-eo', 'pid=,ppid=,rss=,args=']);
  const all = [...stdout.matchAll(/^ *(\d+) +(\d+) +(\d+) (.*)$/gm)].map(([, pid, parent, kibibytes, command]) => ({
    pid: Number(pid),
    parent: Number(parent),
    memory: Number(kibibytes) * 1024,
    command: command ?? '',
  }));
  const family = new Set(all.filter(({ command }) => command.includes(folder)).map(({ pid }) => pid));
  for (let size = 0; size < family.size; ) {
    size = family.size;
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid);
  }
  return all.filter(({ pid }) => family.has(pid));
}
