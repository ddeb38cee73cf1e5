/** Makes a class usable with `await using` on platforms that support it. */

/**
 * Defines `Symbol.asyncDispose` as `close` if the symbol exists. Without this check older browsers would get a method
 * named "undefined".
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
