/** Owns the page of an open image. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { fileLabels } from '../file-label.js';
import { RemoteFile } from '../origin.js';
import { closeImage, type Opened, openAs, openFiles } from '../session.js';
import { formatCount, formatNumberOf, formatShare, formatSize } from '../size.js';
import { ChainCard } from './chain-card.js';
import { CheckCard } from './check-card.js';
import { ChooseButton } from './choose-button.js';
import { DownloadCard } from './download-card.js';
import { ExtensionsCard, FeaturesCard, FormatCard, HeaderCard } from './image-facts.js';
import { BitmapsCard, SnapshotsCard } from './image-history.js';
import { KeepCard } from './keep-card.js';
import { MapCard } from './map-card.js';
import { MissingFiles } from './missing-files.js';

/** Everything about an open image. Its heading takes the focus when another image opens. */
export function ImageView({ opened }: { readonly opened: Opened }): JSX.Element {
  const { info } = opened.image;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [opened]);
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
      <Tiles opened={opened} />
      <DownloadCard opened={opened} />
      <KeepCard opened={opened} />
      <MapCard opened={opened} />
      <CheckCard check={opened.check} />
      <div class="cards">
        <FormatCard info={info} />
        <HeaderCard info={info} />
        <ChainCard opened={opened} />
        <SnapshotsCard info={info} />
        <FeaturesCard info={info} />
        <ExtensionsCard info={info} />
        <BitmapsCard info={info} />
      </div>
    </div>
  );
}

/** Files that were dropped together with the image and do not belong to its chain. */
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

/** The four figures that people look for first. */
function Tiles({ opened }: { readonly opened: Opened }): JSX.Element {
  const { info } = opened.image;
  const { allocation, state, version } = opened.map;
  void version.value;
  const stored = state.value === 'complete' ? formatSize(allocation.stored) : 'Not known yet';
  return (
    <dl class="tiles">
      <SizeTile name="Disk size" bytes={info.virtualSize} />
      <SizeTile name="File size" bytes={info.fileSize} />
      <div>
        <dt>Data</dt>
        <dd>
          <span class="figure">{stored}</span>{' '}
          <span class="soft">
            {state.value === 'complete'
              ? `${formatShare(allocation.stored, allocation.size)} of the disk`
              : `${formatShare(allocation.mapped, allocation.size)} of the map is loaded`}
          </span>
        </dd>
      </div>
      <div>
        <dt>Cluster size</dt>
        <dd>
          <span class="figure">{formatSize(info.clusterSize)}</span>{' '}
          <span class="soft">{formatNumberOf(Math.ceil(info.virtualSize / info.clusterSize), 'cluster')}</span>
        </dd>
      </div>
    </dl>
  );
}

function SizeTile({ name, bytes }: { readonly name: string; readonly bytes: number }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <span class="figure">{formatSize(bytes)}</span> <span class="soft">({formatCount(bytes)} bytes)</span>
      </dd>
    </div>
  );
}
