/** Renders the section that copies the open image into this browser. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useId, useRef } from 'preact/hooks';
import type { StoredImage } from 'qcow2-opfs';
import { describe } from '../engine/problem.js';
import { formatSize } from '../engine/size.js';
import { shortName } from '../image/chain.js';
import type { Opened } from '../session/session.js';
import { Card } from '../ui/card.js';
import { nameRefusal } from './create-form.js';
import { keepFiles, keeps } from './keep.js';
import { hasSameBytes } from './same-bytes.js';
import { storeContents, storePlace } from './store-contents.js';

/**
 * Asks for a name and copies the image, and the qcow2 images that it is based on; null if the image is not a file of
 * the user's.
 */
export function KeepCard({ opened }: { readonly opened: Opened }): JSX.Element | null {
  const { file } = opened;
  if (!(file instanceof File)) return null;
  return <KeepForm file={file} opened={opened} />;
}

function KeepForm({ file, opened }: { readonly file: File; readonly opened: Opened }): JSX.Element {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const refusal = useSignal<string | null>(null);
  const images = storeContents.value?.images ?? [];
  const { bases, left } = chainOf(opened);
  const storedAs = (name: string): StoredImage | undefined =>
    images.find((image) => image.name === name.normalize('NFC'));
  const missingBases = bases.filter(([, name]) => !storedAs(name));
  const presentBases = bases.filter(([, name]) => storedAs(name));
  const comparing = useSignal<string | null>(null);
  const checking = useSignal(false);
  const isBusy = (): boolean =>
    checking.value || keeps.value.some((keep) => keep.file === file && keep.state.value.step === 'running');
  /** Why the image cannot be used with an existing base of the same name; null when it can. */
  const baseRefusal = async ([base, name]: readonly [File, string]): Promise<string | null> => {
    comparing.value = name;
    try {
      if (await hasSameBytes(storedAs(name)!, base, opened.abort.signal)) return null;
      const found = `Another ${name} is in ${storePlace()} already, and this image is not based on that one.`;
      return `${found} Rename that one first.`;
    } catch (error) {
      if (opened.abort.signal.aborted) return '';
      const { title, reason } = describe(error, name);
      return [title, reason].filter(Boolean).join(' ');
    } finally {
      comparing.value = null;
    }
  };
  const keep = async (): Promise<void> => {
    if (isBusy()) return;
    checking.value = true;
    try {
      const name = input.current?.value.trim() ?? '';
      refusal.value = nameRefusal(name, images) ?? null;
      for (const base of presentBases) refusal.value ??= await baseRefusal(base);
      if (refusal.value !== null) input.current?.focus();
      else void keepFiles([...missingBases, [file, name]]);
    } finally {
      checking.value = false;
    }
  };
  return (
    <Card title="Keep it" class="keep-card">
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          void keep();
        }}
      >
        <div class="field">
          <label for={id}>Name in this browser</label>
          <input
            ref={input}
            id={id}
            type="text"
            defaultValue={file.name}
            autocomplete="off"
            spellcheck={false}
            aria-invalid={refusal.value !== null}
            aria-describedby={`${id}-words`}
          />
          <p id={`${id}-words`} class="soft">
            {refusal.value !== null && <strong class="refusal">{refusal.value} </strong>}A copy of{' '}
            {formatSize(file.size)} stays in {storePlace()}; your file stays as it is.
            {presentBases.length > 0 &&
              ` It will be based on ${presentBases.map(([, name]) => name).join(', ')}, which is there already.`}
            {missingBases.length > 0 && ` So does a copy of ${missingBases.map(([, name]) => name).join(', ')}.`}
            {left.length > 0 && ` Only qcow2 images are kept: add ${left.join(', ')} again when you open it.`}
          </p>
        </div>
        <button type="submit" class="button plain" aria-disabled={isBusy()}>
          {comparing.value === null ? 'Keep in this browser' : `Comparing ${comparing.value}…`}
        </button>
      </form>
    </Card>
  );
}

/** The available files that the image is based on: those that can be kept, and the names of the rest. */
function chainOf({ image: { info }, files, file }: Opened): { bases: [File, string][]; left: string[] } {
  const bases: [File, string][] = [];
  const left: string[] = [];
  for (const { depth, name, format, missing, dataFile } of info.chain) {
    if (dataFile && !dataFile.missing && dataFile.name !== undefined) left.push(shortName(dataFile.name));
    if (depth === 0 || name === undefined || missing) continue;
    const base = files.find(name, file);
    if (format === 'qcow2' && base) bases.unshift([base, shortName(name)]);
    else left.push(shortName(name));
  }
  return { bases, left };
}
