/** Renders an open image. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { BitmapsCard } from '../bitmaps/bitmaps-card.js';
import { CheckCard } from '../check/check-card.js';
import { DownloadCard } from '../download/download-card.js';
import { formatSize } from '../engine/size.js';
import { ChainCard } from '../image/chain-card.js';
import { ExtensionsCard, FeaturesCard, FormatCard, HeaderCard } from '../image/image-facts.js';
import { LuksCard } from '../image/luks-card.js';
import { MissingFiles } from '../image/missing-files.js';
import { RemoteFile } from '../image/origin.js';
import { Tiles } from '../image/tiles.js';
import { MapCard } from '../map/map-card.js';
import { closeImage, leftSnapshot, type Opened, openAs, openFiles } from '../session/session.js';
import { SnapshotsCard } from '../snapshots/snapshots-card.js';
import { KeepCard } from '../store/keep-card.js';
import { ChooseButton } from '../ui/choose-button.js';
import { fileLabels } from '../ui/file-label.js';

/** An open image. Its heading takes the focus when another image opens, but not on return from a snapshot. */
export function ImageView({ opened }: { readonly opened: Opened }): JSX.Element {
  const { info } = opened.image;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (leftSnapshot.peek() === null) heading.current?.focus();
  }, [opened]);
  return (
    <div class="image">
      <div class="image-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {opened.file.name}
          </h1>
          <p class="lead">
            A qcow2 image, version {info.version}: a disk of {formatSize(info.virtualSize)} in a file of{' '}
            {formatSize(info.fileSize)}.
          </p>
          {opened.file instanceof RemoteFile && (
            <p class="soft">Fetched as it is needed, by your browser, from {opened.file.url.host}.</p>
          )}
        </div>
        <div class="actions">
          <ChooseButton onFiles={openFiles}>Open another</ChooseButton>
          <button type="button" class="button plain" onClick={closeImage}>
            Close
          </button>
        </div>
      </div>
      <MissingFiles missing={opened.missing} leaf={opened.file} />
      <UnusedFiles opened={opened} />
      <Tiles disk={opened} />
      <DownloadCard disk={opened} />
      <KeepCard opened={opened} />
      <MapCard disk={opened} />
      {opened.snapshots.length > 0 && <SnapshotsCard opened={opened} />}
      {info.bitmaps.length > 0 && <BitmapsCard opened={opened} />}
      <CheckCard check={opened.check} />
      <div class="cards">
        <FormatCard info={info} />
        <LuksCard info={info} />
        <HeaderCard info={info} />
        <ChainCard opened={opened} />
        {opened.snapshots.length === 0 && <SnapshotsCard opened={opened} />}
        <FeaturesCard info={info} />
        <ExtensionsCard info={info} />
        {info.bitmaps.length === 0 && <BitmapsCard opened={opened} />}
      </div>
    </div>
  );
}

/** Files that were dropped with the image and do not belong to its chain. */
function UnusedFiles({ opened }: { readonly opened: Opened }): JSX.Element | null {
  if (opened.unused.length === 0) return null;
  const labels = fileLabels(opened.unused, [opened.file]);
  return (
    <div class="notice" role="status">
      <p>
        {opened.file.name} does not name {opened.unused.length === 1 ? 'this file' : 'these files'}, so{' '}
        {opened.unused.length === 1 ? 'it is' : 'they are'} not used:
      </p>
      <div class="actions">
        {opened.unused.map((file, index) => (
          <button
            type="button"
            class="button plain small"
            key={labels[index]}
            onClick={() => openAs(file, opened.files)}
          >
            Open {labels[index]} instead
          </button>
        ))}
      </div>
    </div>
  );
}
