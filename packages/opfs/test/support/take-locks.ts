/**
 * Gives the worker that imports it other locks than its page has, as Chromium does once the data of the site were
 * cleared.
 */
const request = LockManager.prototype.request as (
  this: LockManager,
  name: string,
  ...rest: unknown[]
) => Promise<unknown>;
Object.assign(LockManager.prototype, {
  request(this: LockManager, name: string, ...rest: unknown[]) {
    return request.call(this, `apart ${name}`, ...rest);
  },
});
