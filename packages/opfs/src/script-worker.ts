/** Owns the start of workers where `new Worker` alone refuses: from text, from another origin, under Trusted Types. */

/** What `new Worker` takes. */
interface Script {
  readonly address: string;
  readonly options: WorkerOptions | undefined;
}

/** The part of `trustedTypes` that is used here: the `dom` library does not know it. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL: (address: string) => string },
  ): { createScriptURL(address: string): string };
}

/** The name that a page's `trusted-types` directive must allow. */
const POLICY = 'qcow2-opfs';

let trust: ((address: string) => string) | undefined;

/**
 * Starts a worker from the text of its script. Its address is let go of when it has started, with its first message, or failed.
 *
 * @throws `DOMException` or TypeError where the page's policy refuses blob: addresses
 */
export function workerOfText(text: string, options?: WorkerOptions): Worker {
  const address = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  const revoke = (): void => URL.revokeObjectURL(address);
  try {
    const worker = new Worker(trusted(address), options);
    for (const event of ['message', 'error']) worker.addEventListener(event, revoke, { once: true });
    return worker;
  } catch (error) {
    revoke();
    throw error;
  }
}

/**
 * Starts the worker that `create` makes, also where browsers refuse its address: one of another origin is imported by a script of
 * the page's own, and under Trusted Types the policy `qcow2-opfs` trusts it.
 *
 * @param create does nothing but `new Worker`
 * @throws what `create` throws
 */
export function startAnyway(create: () => Worker): Worker {
  try {
    return create();
  } catch (error) {
    const script = scriptOf(create);
    if (script === null) throw error;
    return workerOfScript(script);
  }
}

function workerOfScript({ address, options }: Script): Worker {
  if (new URL(address).origin === location.origin) return new Worker(trusted(address), options);
  const text = JSON.stringify(address);
  return workerOfText(options?.type === 'module' ? `import ${text};` : `importScripts(${text});`, options);
}

/**
 * What `create` hands to `new Worker`: which address that is only the bundler knows, that has rewritten the expression. So it is
 * run with a constructor that starts nothing. Null when it does not come as far.
 */
function scriptOf(create: () => Worker): Script | null {
  let script: Script | null = null;
  const { Worker } = globalThis;
  class Recorder {
    constructor(address: string | URL, options?: WorkerOptions) {
      script = { address: new URL(address, globalThis.document?.baseURI ?? location.href).href, options };
    }
  }
  try {
    globalThis.Worker = Recorder as unknown as typeof Worker;
    create();
  } catch {
    return null;
  } finally {
    globalThis.Worker = Worker;
  }
  return script;
}

/** The address as a TrustedScriptURL, which `new Worker` takes as it does a string; as it is where the page allows no policy. */
function trusted(address: string): string {
  trust ??= makePolicy();
  return trust(address);
}

function makePolicy(): (address: string) => string {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  try {
    const policy = trustedTypes?.createPolicy(POLICY, { createScriptURL: (address) => address });
    if (policy) return (address) => policy.createScriptURL(address);
  } catch {
    // A page that does not allow it may have a default policy, or demand no trust.
  }
  return (address) => address;
}
