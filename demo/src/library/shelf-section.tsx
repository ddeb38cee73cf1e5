/** Owns the section of the images that live in this browser: the list, the storage, and the ways to add to it. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { StoredImage } from 'qcow2-opfs';
import { announcement } from '../session/session.js';
import { ChooseButton } from '../ui/choose-button.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { CreateDialog } from './create-dialog.js';
import { keepFiles } from './keep.js';
import { RemoveDialog } from './remove-dialog.js';
import { refreshShelf, type Shelf, shelf, shelfProblem } from './shelf.js';
import { ShelfRow } from './shelf-row.js';
import { StorageBar } from './storage-bar.js';

/** The images in this browser. */
export function ShelfSection(): JSX.Element {
  const creating = useSignal(false);
  const now = shelf.value;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => void refreshShelf(), []);
  return (
    <section class="shelf" aria-labelledby="shelf-title">
      <div class="shelf-head">
        <h2 id="shelf-title" ref={heading} tabIndex={-1}>
          Images in this browser
        </h2>
        <div class="actions">
          <button type="button" class="button plain" onClick={() => (creating.value = true)}>
            Create an image
          </button>
          <ChooseButton onFiles={(files) => keepFiles(files.map((file) => [file, file.name]))}>
            Copy files in
          </ChooseButton>
        </div>
      </div>
      {shelfProblem.value && (
        <ProblemNotice problem={shelfProblem.value}>
          <button type="button" class="button plain small" onClick={refreshShelf}>
            Try again
          </button>
        </ProblemNotice>
      )}
      {now && <StorageBar shelf={now} />}
      {now && <ShelfList shelf={now} onGone={() => heading.current?.focus()} />}
      {creating.value && (
        <CreateDialog
          images={now?.images ?? []}
          onClose={(created) => {
            creating.value = false;
            if (created !== null) announcement.value = `${created} is created.`;
          }}
        />
      )}
    </section>
  );
}

interface ShelfListProps {
  readonly shelf: Shelf;
  /** An image was deleted, and what had the focus with it. */
  readonly onGone: () => void;
}

function ShelfList({ shelf: { images }, onGone }: ShelfListProps): JSX.Element {
  const removing = useSignal<StoredImage | null>(null);
  if (images.length === 0) {
    return <p class="soft">None yet. Create one, or drop an image and choose to keep it.</p>;
  }
  return (
    <>
      <ul class="shelf-list">
        {images.map((image) => (
          <ShelfRow
            key={image.name}
            image={image}
            images={images}
            onRemove={() => {
              removing.value = image;
            }}
          />
        ))}
      </ul>
      {removing.value && (
        <RemoveDialog
          image={removing.value}
          onClose={(removed) => {
            const name = removing.value?.name;
            removing.value = null;
            if (removed) announcement.value = `${name} is deleted.`;
          }}
          orElse={onGone}
        />
      )}
    </>
  );
}
