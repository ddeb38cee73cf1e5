/** Renders the button that opens the file picker, as an alternative to dropping files. */
import type { ComponentChildren, JSX, TargetedEvent } from 'preact';
import { useRef } from 'preact/hooks';

/** Properties of the button. */
interface ChooseButtonProps {
  readonly onFiles: (files: File[]) => void;
  readonly multiple?: boolean;
  readonly kind?: 'primary' | 'plain';
  readonly children: ComponentChildren;
}

/** A button that opens the file picker and passes the chosen files, at least one, to `onFiles`. */
export function ChooseButton({ onFiles, multiple = true, kind = 'plain', children }: ChooseButtonProps): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const take = (event: TargetedEvent<HTMLInputElement>): void => {
    const files = [...(event.currentTarget.files ?? [])];
    event.currentTarget.value = ''; // otherwise choosing the same file again would not be a change
    if (files.length > 0) onFiles(files);
  };
  return (
    <>
      <button type="button" class={`button ${kind}`} onClick={() => input.current?.click()}>
        {children}
      </button>
      <input ref={input} type="file" multiple={multiple} hidden onChange={take} />
    </>
  );
}
