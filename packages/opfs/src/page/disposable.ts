/** Owns how a class becomes usable with `await using` where the platform knows it. */

/**
 * Defines `Symbol.asyncDispose` as `close`, only where the symbol exists: older browsers would get a method named
 * "undefined".
 */
export function makeDisposable(prototype: { close(): Promise<void> }): void {
  if (typeof Symbol.asyncDispose !== 'symbol') return;
  Object.defineProperty(prototype, Symbol.asyncDispose, {
    value(this: { close(): Promise<void> }): Promise<void> {
      return this.close();
    },
    configurable: true,
    writable: true,
  });
}
