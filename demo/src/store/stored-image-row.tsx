/** Renders one image of the list, with its actions. */
import { useSignal } from '@preact/signals';
import { Fragment, type JSX, type RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { StoredImage } from 'qcow2-opfs';
import type { Download } from '../download/download.js';
import { DownloadButton } from '../download/download-button.js';
import { DownloadProgress, downloadWords } from '../download/download-progress.js';
import { storedDownload } from '../download/stored-downloads.js';
import { formatSize } from '../engine/size.js';
import { shortName } from '../image/chain.js';
import { openStored } from '../session/session.js';
import { RenameForm } from './rename-form.js';
import { renameImage } from './store-contents.js';

const DATES = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

/** The image whose renaming has ended: its button takes the focus once it is rendered. */
let renamed: string | null = null;

interface StoredImageRowProps {
  readonly image: StoredImage;
  readonly images: readonly StoredImage[];
  readonly onRemove: () => void;
}

/** An image in this browser. */
export function StoredImageRow({ image, images, onRemove }: StoredImageRowProps): JSX.Element {
  const renaming = useSignal(false);
  const renameButton = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (renaming.value || renamed !== image.name) return;
    renamed = null;
    renameButton.current?.focus();
  }, [image.name, renaming.value]);
  return (
    <li class="card store-row">
      {renaming.value ? (
        <RenameForm
          name={image.name}
          images={images}
          onRename={async (name) => {
            renamed = name;
            await renameImage(image.name, name);
          }}
          onClose={() => {
            renamed = image.name;
            renaming.value = false;
          }}
        />
      ) : (
        <h3>{image.name}</h3>
      )}
      <RowFacts image={image} />
      {!renaming.value && (
        <RowActions
          name={image.name}
          renameButton={renameButton}
          onRename={() => {
            renaming.value = true;
          }}
          onRemove={onRemove}
        />
      )}
      <RowDownloads image={image} />
    </li>
  );
}

interface RowActionsProps {
  readonly name: string;
  readonly renameButton: RefObject<HTMLButtonElement | null>;
  readonly onRename: () => void;
  readonly onRemove: () => void;
}

function RowActions({ name, renameButton, onRename, onRemove }: RowActionsProps): JSX.Element {
  return (
    <div class="actions">
      <button type="button" class="button plain small" aria-label={`Inspect ${name}`} onClick={() => openStored(name)}>
        Inspect
      </button>
      <button
        ref={renameButton}
        type="button"
        class="button plain small"
        aria-label={`Rename ${name}`}
        onClick={onRename}
      >
        Rename
      </button>
      <button type="button" class="button plain small" aria-label={`Delete ${name}`} onClick={onRemove}>
        Delete
      </button>
    </div>
  );
}

function RowFacts({ image }: { readonly image: StoredImage }): JSX.Element {
  const { info, fileSize, error, overlays } = image;
  const words = [
    info && `Disk of ${formatSize(info.virtualSize)}`,
    `file of ${formatSize(fileSize)}`,
    info && `version ${info.version}`,
    `written ${DATES.format(image.lastModified)}`,
  ].filter(Boolean);
  return (
    <div class="row-facts">
      <p class="soft">{capitalised(words.join(', '))}</p>
      {info?.backingFile !== undefined && <p class="soft">Based on {shortName(info.backingFile)}</p>}
      {overlays.length > 0 && (
        <p class="soft">
          Base of {overlays.join(', ')}: it stays as it is while {overlays.length === 1 ? 'that is' : 'those are'} here
        </p>
      )}
      {error?.code === 'locked' && <p class="row-fault">Open in another tab, which changes it now.</p>}
      {error && error.code !== 'locked' && <p class="row-fault">Cannot be read: {error.message}</p>}
    </div>
  );
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The two downloads of an image. */
function RowDownloads({ image }: { readonly image: StoredImage }): JSX.Element {
  const downloads = (['raw', 'qcow2'] as const).map((format) => storedDownload(image, format));
  const buttons = useRef(new Map<Download, HTMLButtonElement>());
  return (
    <div class="row-downloads">
      <div class="actions">
        {downloads.map((download) => (
          <DownloadButton
            key={download.format}
            name={image.name}
            download={download}
            buttonRef={(button: HTMLButtonElement | null) => {
              if (button) buttons.current.set(download, button);
            }}
          />
        ))}
      </div>
      {downloads.map((download) => (
        <Fragment key={download.format}>
          <DownloadProgress download={download} onPressed={() => buttons.current.get(download)?.focus()} />
          <p class="visually-hidden" role="status">
            {downloadWords(download)}
          </p>
        </Fragment>
      ))}
    </div>
  );
}
