/** Renders the section of the images in this browser: the list, the storage, and the ways to add images. */
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
import { StorageBar } from './storage-bar.js';
import { refreshStore, type StoreContents, storeContents, storeProblem } from './store-contents.js';
import { StoredImageRow } from './stored-image-row.js';

/** The images in this browser. */
export function StoreSection(): JSX.Element {
  const creating = useSignal(false);
  const now = storeContents.value;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => void refreshStore(), []);
  return (
    <section class="store" aria-labelledby="store-title">
      <div class="store-head">
        <h2 id="store-title" ref={heading} tabIndex={-1}>
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
      {storeProblem.value && (
        <ProblemNotice problem={storeProblem.value}>
          <button type="button" class="button plain small" onClick={refreshStore}>
            Try again
          </button>
        </ProblemNotice>
      )}
      {now && <StorageBar contents={now} />}
      {now && <StoredImageList contents={now} onGone={() => heading.current?.focus()} />}
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

interface StoredImageListProps {
  readonly contents: StoreContents;
  /** Called when an image was deleted, and the focused element with it. */
  readonly onGone: () => void;
}

function StoredImageList({ contents: { images }, onGone }: StoredImageListProps): JSX.Element {
  const removing = useSignal<StoredImage | null>(null);
  if (images.length === 0) {
    return <p class="soft">None yet. Create one, or drop an image and choose to keep it.</p>;
  }
  return (
    <>
      <ul class="store-list">
        {images.map((image) => (
          <StoredImageRow
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
          onFocusLost={onGone}
        />
      )}
    </>
  );
}
