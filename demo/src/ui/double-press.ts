/** Blocks the later presses of a double click on a button whose meaning has changed. */

/** The double-click interval of Windows and GTK. Milliseconds. */
const DOUBLE_CLICK_MS = 500;
/** How far the pointer may move between the presses. CSS pixels. */
const DOUBLE_CLICK_PX = 5;

interface Press {
  readonly event: MouseEvent;
  readonly button: Element | null;
  /** The button's action: its text and accessible name. */
  readonly meaning: string;
  /** True if a later press of the same double click has been blocked. */
  readonly paired: boolean;
}

function pressOf(event: MouseEvent): Press {
  const button = (event.target as Element).closest('button');
  const meaning = `${button?.getAttribute('aria-label') ?? ''} ${button?.textContent ?? ''}`;
  return { event, button, meaning, paired: false };
}

/**
 * True if a press belongs to a double click with the one before. `detail` alone is not enough: Firefox restarts its
 * count when the button's text has changed.
 */
function isDouble({ event: one, paired }: Press, { event: two }: Press): boolean {
  // The system's interval may be longer.
  if (!paired && one.detail === 1 && two.detail === 2) return true;
  const near = Math.max(Math.abs(one.clientX - two.clientX), Math.abs(one.clientY - two.clientY)) <= DOUBLE_CLICK_PX;
  return near && two.timeStamp - one.timeStamp < DOUBLE_CLICK_MS;
}

/**
 * Watches every press of a pointer in `root`. A double click is meant for the button under its first press. By the
 * second press that button may cancel what the first one has started, or another button may be under the pointer: such
 * a press is blocked. All presses on a button that stays the same count, for example when the user pages through a
 * table.
 */
export function guardDoublePresses(root: EventTarget): void {
  let last: Press | null = null;
  const guard = (event: MouseEvent): void => {
    // Key presses have no position, and presses by scripts no user.
    if (event.detail === 0 || !event.isTrusted) return;
    const press = pressOf(event);
    const first = last;
    last = press;
    if (!first || !press.button || !isDouble(first, press)) return;
    if (press.button === first.button && press.meaning === first.meaning) return;
    // The interval starts at the first press. Otherwise repeated presses would be blocked for ever.
    last = { ...first, paired: true };
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  /** The later press of a double click must not move the focus from where the first one has put it. */
  const keepFocus = (event: MouseEvent): void => {
    if (!event.isTrusted || event.button !== 0 || !last?.button) return;
    const press = pressOf(event);
    if (press.button !== last.button && isDouble(last, press)) event.preventDefault();
  };
  root.addEventListener('click', (event) => guard(event as MouseEvent), { capture: true });
  root.addEventListener('mousedown', (event) => keepFocus(event as MouseEvent), { capture: true });
  // A drop ends the double click: the next press is meant for what the drop has opened.
  root.addEventListener('drop', () => (last = null), { capture: true });
}
