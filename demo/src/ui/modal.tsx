/** Owns the frame of a dialog that stands over the page. */
import type { ComponentChildren, JSX } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

interface ModalProps {
  readonly title: string;
  readonly class?: string;
  /** The person wants it gone: by the Escape key, or because the form in it asks. */
  readonly onClose: () => void;
  /** Takes the focus afterwards where what had it before is gone. */
  readonly orElse?: () => void;
  readonly children: ComponentChildren;
}

/**
 * A dialog, open as long as it is rendered. The browser keeps the focus in it; afterwards it goes back where it was.
 */
export function Modal({ title, class: extra = '', onClose, orElse, children }: ModalProps): JSX.Element {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    // As long as the dialog is there, nothing else takes the focus.
    return () => setTimeout(() => (before?.isConnected ? (before as HTMLElement).focus() : orElse?.()));
  }, []);
  return (
    <dialog
      ref={dialog}
      class={`modal ${extra}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault(); // it goes when it is no longer rendered
        onClose();
      }}
      // At the second press of Escape in a row browsers close it all the same.
      onClose={() => dialog.current?.isConnected && dialog.current.showModal()}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
