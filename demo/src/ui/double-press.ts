/** Keeps the later presses of a double click from a button that has come to mean something else. */

/** As long as Windows and GTK wait for the second press of a double click. Milliseconds. */
const DOUBLE_CLICK_MS = 500;
/** How far the pointer may move in between. CSS pixels. */
const DOUBLE_CLICK_PX = 5;

interface Press {
  readonly event: MouseEvent;
  readonly button: Element | null;
  /** What the button does, as it is written on it and spoken. */
  readonly meaning: string;
  /** Whether a later press of the same double click has been stopped. */
  readonly paired: boolean;
}

function pressOf(event: MouseEvent): Press {
  const button = (event.target as Element).closest('button');
  const meaning = `${button?.getAttribute('aria-label') ?? ''} ${button?.textContent ?? ''}`;
  return { event, button, meaning, paired: false };
}

/**
 * Whether a press belongs to a double click with the one before. Not by `detail` alone: Firefox counts anew when the
 * button's text has changed.
 */
function isDouble({ event: one, paired }: Press, { event: two }: Press): boolean {
  // The system may wait longer for the second press.
  if (!paired && one.detail === 1 && two.detail === 2) return true;
  const near = Math.max(Math.abs(one.clientX - two.clientX), Math.abs(one.clientY - two.clientY)) <= DOUBLE_CLICK_PX;
  return near && two.timeStamp - one.timeStamp < DOUBLE_CLICK_MS;
}

/**
 * Watches every press of a pointer in `root`. A double click is meant for the button under its first press. By the
 * second press that button may cancel what the first one has started, or another one may have come under the pointer:
 * such a press does nothing. Presses on what stays the same button all count, as when a person goes from page to page.
 */
export function guardDoublePresses(root: EventTarget): void {
  let last: Press | null = null;
  const guard = (event: MouseEvent): void => {
    // Keys press a button without a place, and scripts without a person.
    if (event.detail === 0 || !event.isTrusted) return;
    const press = pressOf(event);
    const first = last;
    last = press;
    if (!first || !press.button || !isDouble(first, press)) return;
    if (press.button === first.button && press.meaning === first.meaning) return;
    // The time goes on from the first press. Otherwise a person who presses again and again would never be served.
    last = { ...first, paired: true };
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  /** The later press of a double click takes no focus from where the first one has put it. */
  const keepFocus = (event: MouseEvent): void => {
    if (!event.isTrusted || event.button !== 0 || !last?.button) return;
    const press = pressOf(event);
    if (press.button !== last.button && isDouble(last, press)) event.preventDefault();
  };
  root.addEventListener('click', (event) => guard(event as MouseEvent), { capture: true });
  root.addEventListener('mousedown', (event) => keepFocus(event as MouseEvent), { capture: true });
  // Between the presses of a double click, nothing is dropped: the next press is meant for what the drop has brought.
  root.addEventListener('drop', () => (last = null), { capture: true });
}
