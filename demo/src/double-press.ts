/** Keeps the later presses of a double click from a button that has come to mean something else. */

/** What a button does, as it is written on it and spoken. */
function meaningOf(button: Element): string {
  return `${button.getAttribute('aria-label') ?? ''} ${button.textContent}`;
}

/**
 * Watches every click in `root`. A double click is meant for the button under its first press. By the second press that may cancel what
 * the first one has started, or another button may have come under the pointer: such a press does nothing. Presses on what stays the
 * same button, as when a person goes from page to page, all count.
 */
export function guardDoublePresses(root: EventTarget): void {
  let first: { readonly button: Element; readonly meaning: string } | null = null;
  root.addEventListener(
    'click',
    (event) => {
      const { detail, target } = event as MouseEvent;
      const button = (target as Element).closest('button');
      // `detail` counts the presses in a row; a keyboard and scripts have none.
      if (detail <= 1) {
        first = button && { button, meaning: meaningOf(button) };
        return;
      }
      if (!button || (button === first?.button && meaningOf(button) === first.meaning)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    { capture: true },
  );
}
