/** Owns the question that the browser asks before it leaves the page while work runs that leaving would end. */

let running = 0;

/** Holds the person back from leaving until the work has ended, in whatever way. */
export async function whileBusy<T>(work: Promise<T>): Promise<T> {
  // Only then: a page that listens is not kept for the way back.
  if (running === 0) window.addEventListener('beforeunload', ask);
  running += 1;
  try {
    return await work;
  } finally {
    running -= 1;
    if (running === 0) window.removeEventListener('beforeunload', ask);
  }
}

function ask(event: BeforeUnloadEvent): void {
  event.preventDefault();
  event.returnValue = true; // browsers before 2023 ask only for this
}
