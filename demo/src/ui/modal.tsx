/** Renders the frame of a modal dialog. */
import type { ComponentChildren, JSX } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

interface ModalProps {
  readonly title: string;
  readonly class?: string;
  /** Called when the user closes it with the Escape key, or the form in it does. */
  readonly onClose: () => void;
  /** Takes the focus afterwards if the element that had it before was removed. */
  readonly onFocusLost?: () => void;
  readonly children: ComponentChildren;
}

/**
 * A dialog, open as long as it is rendered. The browser keeps the focus in it. Afterwards the focus returns to where it
 * was.
 */
export function Modal({ title, class: extra = '', onClose, onFocusLost, children }: ModalProps): JSX.Element {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    // Nothing else can take the focus while the dialog is rendered.
    return () => setTimeout(() => (before?.isConnected ? (before as HTMLElement).focus() : onFocusLost?.()));
  }, []);
  return (
    <dialog
      ref={dialog}
      class={`modal ${extra}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault(); // it closes when it is no longer rendered
        onClose();
      }}
      // Browsers close it at the second press of Escape in a row, whatever the handler does.
      onClose={() => dialog.current?.isConnected && dialog.current.showModal()}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
