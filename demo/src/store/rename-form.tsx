/** Renders the form that renames an image in the list. */
import { type Signal, useSignal } from '@preact/signals';
import type { JSX, RefObject } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { describe } from '../engine/problem.js';
import { announcement } from '../session/session.js';
import { nameRefusal } from './create-form.js';

interface RenameFormProps {
  readonly name: string;
  readonly images: readonly { readonly name: string }[];
  /** Renames the image. An error it rejects with is shown. Afterwards this form is removed. */
  readonly onRename: (name: string) => Promise<void>;
  /** Called when the name is not changed. */
  readonly onClose: () => void;
}

/** A field with the name, and the reason if it is refused. */
export function RenameForm(props: RenameFormProps): JSX.Element {
  const { name, onClose } = props;
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const refusal = useSignal<string | null>(null);
  useLayoutEffect(() => input.current?.select(), []);
  const { busy, save } = useRename(props, input, refusal);
  /** A running rename cannot be cancelled: the form waits for the store's result. */
  const close = (): void => {
    if (!busy.value) onClose();
  };
  return (
    <form
      class="rename"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
      onKeyDown={(event) => event.key === 'Escape' && close()}
    >
      <label for={`${id}-name`}>New name for {name}</label>
      <div class="actions">
        <input
          ref={input}
          id={`${id}-name`}
          type="text"
          defaultValue={name}
          autocomplete="off"
          spellcheck={false}
          aria-invalid={refusal.value !== null}
          aria-describedby={`${id}-refusal`}
        />
        <button type="submit" class="button primary small" aria-disabled={busy.value}>
          {busy.value ? 'Renaming…' : 'Save'}
        </button>
        <button type="button" class="button plain small" onClick={close} aria-disabled={busy.value}>
          Cancel
        </button>
      </div>
      <p id={`${id}-refusal`} class="refusal" role="alert">
        {refusal.value}
      </p>
    </form>
  );
}

/** Saves: checks the name, renames, shows errors. `busy` while it renames. */
function useRename(
  { name, images, onRename, onClose }: RenameFormProps,
  input: RefObject<HTMLInputElement | null>,
  refusal: Signal<string | null>,
): { busy: Signal<boolean>; save: () => Promise<void> } {
  const busy = useSignal(false);
  const save = async (): Promise<void> => {
    const wanted = input.current?.value.trim() ?? '';
    if (busy.value) return;
    if (wanted === name) return onClose();
    refusal.value =
      nameRefusal(
        wanted,
        images.filter((image) => image.name !== name),
      ) ?? null;
    if (refusal.value !== null) return input.current?.focus();
    busy.value = true;
    try {
      await onRename(wanted.normalize('NFC'));
      announcement.value = `${name} is now called ${wanted}.`;
    } catch (error) {
      const { title, reason, advice } = describe(error, name);
      refusal.value = [title, reason, advice].filter(Boolean).join(' ');
    } finally {
      busy.value = false;
    }
  };
  return { busy, save };
}
