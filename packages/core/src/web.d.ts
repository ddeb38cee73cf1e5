/**
 * The few web types that core may use, declared by hand, so that neither the `dom` nor the `webworker` library comes in
 * with `navigator`, `self` and the rest. Each declaration is the part that core calls, no more. Where a program has the
 * real library too, these merge with it.
 */
interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: any;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
  throwIfAborted(): void;
}
