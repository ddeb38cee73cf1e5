/** Controls a file on the tests' web server: puts it there, changes it, and returns the requests for it. */
import { inject } from 'vitest';
import type { FilePlan, Seen } from './plan.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Address of the tests' web server. */
    httpOrigin: string;
  }
}

/** A file on the server. */
export interface Hosted {
  readonly url: string;
  /** Changes how it is served from now on. */
  plan(plan: FilePlan): Promise<void>;
  /** Puts other bytes in its place. */
  put(bytes: Uint8Array): Promise<void>;
  /** Every request for it so far. */
  seen(): Promise<Seen[]>;
  /** The ranges asked for so far, in order. */
  ranges(): Promise<(string | null)[]>;
}

/** Ids of bytes that are there already: they need not be sent for every test. */
const there = new WeakMap<Uint8Array, string>();

/** Puts a file on the server. */
export async function host(bytes: Uint8Array, plan: FilePlan = {}): Promise<Hosted> {
  const origin = inject('httpOrigin');
  const id = crypto.randomUUID();
  const send = async (verb: string, body: BodyInit) => {
    await fetch(`${origin}/${verb}/${id}`, { method: 'PUT', body });
  };
  const hosted: Hosted = {
    url: `${origin}/file/${id}`,
    plan: (next) => send('plan', JSON.stringify(next)),
    put(next) {
      if (there.get(bytes) === id) there.delete(bytes);
      return send('bytes', next.slice());
    },
    async seen() {
      const response = await fetch(`${origin}/seen/${id}`, { cache: 'no-store' });
      return response.json();
    },
    ranges: async () => (await hosted.seen()).map(({ range }) => range),
  };
  const like = there.get(bytes);
  if (like === undefined) await hosted.put(bytes);
  await hosted.plan({ ...plan, ...(like === undefined ? {} : { like }) });
  if (like === undefined) there.set(bytes, id);
  return hosted;
}
