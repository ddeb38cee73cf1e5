/** Starts workers where `new Worker` alone fails: from text, from another origin, under Trusted Types. */

/** The arguments of `new Worker`. */
interface Script {
  readonly address: string;
  readonly options: WorkerOptions | undefined;
}

/** Makes a URL a TrustedScriptURL, which `new Worker` accepts like a string. */
interface Policy {
  createScriptURL(address: string): string;
}

/** The part of `trustedTypes` used here, which TypeScript's `dom` library does not declare. */
interface TrustedTypes {
  createPolicy(name: string, rules: Policy): Policy;
}

/** The name that a page's `trusted-types` directive must allow. */
const POLICY = 'qcow2-opfs';

/** Returns the URL unchanged: for platforms without Trusted Types, and for pages that do not allow the policy. */
const IDENTITY_POLICY: Policy = { createScriptURL: (address) => address };

let policy: Policy | undefined;

/** @throws TypeError where workers cannot start others, as in Chromium's SharedWorker */
function requireWorkers(): void {
  if (globalThis.Worker) return;
  throw new TypeError('There is no Worker constructor here: this kind of worker cannot start dedicated workers.');
}

/**
 * Starts a worker from the text of its script. Its URL is revoked when it has started, with its first message, or
 * failed.
 *
 * @throws `DOMException` or TypeError where the page's policy refuses `blob:` URLs; TypeError where there are no
 *   workers
 */
export function workerOfText(text: string, options?: WorkerOptions): Worker {
  requireWorkers();
  const address = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  const revoke = (): void => URL.revokeObjectURL(address);
  try {
    const worker = startTrusted(address, options);
    for (const event of ['message', 'error']) worker.addEventListener(event, revoke, { once: true });
    return worker;
  } catch (error) {
    revoke();
    throw error;
  }
}

/**
 * Starts the worker that `create` makes, also where browsers refuse its URL. A script of another origin is imported by
 * a script of the page's own. Under Trusted Types the policy `qcow2-opfs` makes it a trusted URL.
 *
 * @param create does nothing but `new Worker`
 * @throws what `create` throws, and as {@link workerOfText}
 */
export function startFromAnyOrigin(create: () => Worker): Worker {
  requireWorkers();
  const made = recordScript(create);
  if (!('address' in made)) return made;
  const { address, options } = made;
  const { origin, protocol } = new URL(address);
  // Not `location.origin`, which is null in a frame of `srcdoc`.
  if (origin === self.origin || protocol === 'data:') return startTrusted(address, options);
  const text = JSON.stringify(address);
  return workerOfText(options?.type === 'module' ? `import ${text};` : `importScripts(${text});`, options);
}

/**
 * The arguments that `create` passes to `new Worker`. The bundler has rewritten that expression, so only it contains
 * the URL, and not all browsers throw when they refuse it. So `create` runs with a substitute constructor that starts
 * nothing. Where that cannot be installed, or is not called, this returns the worker itself.
 */
function recordScript(create: () => Worker): Script | Worker {
  const scripts: Script[] = [];
  class Recorder {
    constructor(address: string | URL, options?: WorkerOptions) {
      const { href } = new URL(address, globalThis.document?.baseURI ?? location.href);
      scripts.push({ address: href, options });
    }
  }
  const { Worker } = globalThis;
  Reflect.set(globalThis, 'Worker', Recorder);
  try {
    const worker = create();
    return scripts[0] ?? worker;
  } finally {
    Reflect.set(globalThis, 'Worker', Worker);
  }
}

function startTrusted(address: string, options: WorkerOptions | undefined): Worker {
  // Created once: a second policy of the same name may be refused.
  policy ??= makePolicy();
  try {
    return new Worker(policy.createScriptURL(address), options);
  } catch (cause) {
    if (policy !== IDENTITY_POLICY || !trustedTypes() || !(cause instanceof TypeError)) throw cause;
    throw new TypeError(`${cause.message} The page's policy must have \`trusted-types ${POLICY}\`.`, { cause });
  }
}

function makePolicy(): Policy {
  try {
    return trustedTypes()?.createPolicy(POLICY, { createScriptURL: (address) => address }) ?? IDENTITY_POLICY;
  } catch {
    // A page that does not allow it may have a default policy, or not enforce Trusted Types.
    return IDENTITY_POLICY;
  }
}

function trustedTypes(): TrustedTypes | undefined {
  return (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
}
