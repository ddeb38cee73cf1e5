/** Renders the field that opens an image by its URL on a web server. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useId, useRef } from 'preact/hooks';
import { linkedAddress, parseAddress } from '../engine/address.js';
import { cancelOpening, openAddress } from '../session/session.js';

/** Asks for a URL and opens it. A link to the page can fill it in; nothing is fetched before the button is pressed. */
export function AddressForm(): JSX.Element {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const refusal = useSignal<string | null>(null);
  /** The last requested opening, and the text it was requested with; null when it has ended. */
  const fetching = useSignal<{ readonly text: string } | null>(null);
  const linked = linkedAddress(location.hash);
  const submit = async (): Promise<void> => {
    const text = input.current?.value ?? '';
    // Enter after another URL was typed requests that one; it replaces the first.
    const retyped = document.activeElement === input.current && text !== fetching.value?.text;
    if (fetching.value && !retyped) {
      cancelOpening();
      return;
    }
    const typed = parseAddress(text);
    refusal.value = 'refusal' in typed ? typed.refusal : null;
    if ('refusal' in typed) {
      input.current?.focus();
      return;
    }
    const mine = { text };
    fetching.value = mine;
    await openAddress(typed.url);
    if (fetching.value === mine) fetching.value = null;
  };
  return (
    <form
      class="address"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <div class="field">
        <label for={id}>or open an address</label>
        <input
          ref={input}
          id={id}
          type="url"
          defaultValue={linked}
          placeholder="https://"
          autocomplete="off"
          spellcheck={false}
          aria-invalid={refusal.value !== null}
          aria-describedby={`${id}-words`}
        />
      </div>
      <button type="submit" class="button plain">
        {fetching.value ? 'Cancel' : 'Open address'}
      </button>
      <p id={`${id}-words`} class="soft">
        {refusal.value !== null && <strong class="refusal">{refusal.value} </strong>}
        {linked !== '' && 'The link that led here filled it in; nothing is fetched until you open it. '}
        Your browser fetches what it needs of the image, from its server alone. The server must support range requests
        and allow this page to read.
      </p>
    </form>
  );
}
