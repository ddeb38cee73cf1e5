/** Owns the frame of a dialog that stands over the page. */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

interface ModalProps {
  readonly title: string;
  readonly class?: string;
  /** The person wants it gone: by the Escape key, or because the form in it asks. */
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A dialog, open as long as it is rendered. The browser keeps the focus in it, and gives it back afterwards. */
export function Modal({ title, class: extra = '', onClose, children }: ModalProps): JSX.Element {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
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
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
