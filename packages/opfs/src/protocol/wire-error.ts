/** Sends errors between page and worker: rebuilds what structured cloning would lose (class, code, details). */
import { isQcow2Error, Qcow2Error, type Qcow2ErrorCode, type Qcow2ErrorDetails } from 'qcow2';

/** An error as plain data. */
export interface WireError {
  /** Selects the constructor that rebuilds it. */
  readonly kind: 'qcow2' | 'type' | 'range' | 'dom' | 'other' | 'kept';
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly code?: Qcow2ErrorCode | undefined;
  readonly details?: Qcow2ErrorDetails | undefined;
  readonly cause?: WireError | undefined;
  /** For `kept`: the key under which the page stores the error that its own callback threw. */
  readonly key?: number | undefined;
}

/** Limit on the chain of causes, so that a cycle ends. */
const MAX_CAUSES = 4;

/** Stands in the worker for an error that a callback of the page threw. The page replaces it by the original. */
export class KeptError extends Error {
  override readonly name = 'KeptError';
  readonly key: number;

  constructor(key: number, message: string) {
    super(message);
    this.key = key;
  }
}

/** Converts a thrown value to plain data. */
export function toWireError(thrown: unknown, depth = 0): WireError {
  if (!(thrown instanceof Error)) return { kind: 'other', name: 'Error', message: String(thrown) };
  const cause = thrown.cause !== undefined && depth < MAX_CAUSES ? toWireError(thrown.cause, depth + 1) : undefined;
  const plain = { name: thrown.name, message: thrown.message, stack: thrown.stack, cause };
  if (isQcow2Error(thrown)) return { ...plain, kind: 'qcow2', code: thrown.code, details: thrown.details };
  if (thrown instanceof KeptError) return { ...plain, kind: 'kept', key: thrown.key };
  if (thrown instanceof DOMException) return { ...plain, kind: 'dom' };
  if (thrown instanceof TypeError) return { ...plain, kind: 'type' };
  if (thrown instanceof RangeError) return { ...plain, kind: 'range' };
  return { ...plain, kind: 'other' };
}

/** Rebuilds the error with its class. `kept` returns the page's error for a key. */
export function fromWireError(wire: WireError, kept?: (key: number) => unknown): unknown {
  if (wire.kind === 'kept' && wire.key !== undefined && kept) return kept(wire.key);
  const error = rebuild(wire, wire.cause && { cause: fromWireError(wire.cause, kept) });
  // The worker's stack shows where the error occurred. The page's would only show where the response arrived.
  if (wire.stack) Object.defineProperty(error, 'stack', { value: wire.stack, configurable: true, writable: true });
  return error;
}

function rebuild(wire: WireError, options: { cause: unknown } | undefined): Error {
  switch (wire.kind) {
    case 'qcow2':
      return new Qcow2Error(wire.code ?? 'failed', wire.message, wire.details, options);
    case 'type':
      return new TypeError(wire.message, options);
    case 'range':
      return new RangeError(wire.message, options);
    case 'dom':
      return new DOMException(wire.message, wire.name);
    default: {
      const error = new Error(wire.message, options);
      Object.defineProperty(error, 'name', { value: wire.name, configurable: true, writable: true });
      return error;
    }
  }
}
