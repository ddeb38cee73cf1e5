/** Makes the browser ask before it leaves the page while work runs that leaving would end. */

let running = 0;

/** Makes the browser ask until the work has ended for any reason. */
export async function whileBusy<T>(work: Promise<T>): Promise<T> {
  // Only while needed: a page with this listener is not kept in the back/forward cache.
  if (running === 0) window.addEventListener('beforeunload', confirmLeaving);
  running += 1;
  try {
    return await work;
  } finally {
    running -= 1;
    if (running === 0) window.removeEventListener('beforeunload', confirmLeaving);
  }
}

function confirmLeaving(event: BeforeUnloadEvent): void {
  event.preventDefault();
  event.returnValue = true; // browsers before 2023 support only this
}
