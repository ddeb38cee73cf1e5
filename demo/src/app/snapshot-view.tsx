/** Renders the disk of a snapshot. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { DownloadCard } from '../download/download-card.js';
import { formatSize } from '../engine/size.js';
import { MissingFiles } from '../image/missing-files.js';
import { Tiles } from '../image/tiles.js';
import { MapCard } from '../map/map-card.js';
import { leaveSnapshot, type Opened, type SnapshotView as Shown } from '../session/session.js';
import { snapshotDate } from '../snapshots/snapshots-card.js';

interface SnapshotViewProps {
  readonly view: Shown;
  /** The image that contains the snapshot. */
  readonly opened: Opened;
}

/** The disk of a snapshot. Its heading takes the focus. */
export function SnapshotView({ view, opened }: SnapshotViewProps): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [view]);
  return (
    <div class="image">
      <div class="image-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {view.name}
          </h1>
          <p class="lead">
            A snapshot inside {opened.name}: its disk of {formatSize(view.image.size)}, as it was on{' '}
            {snapshotDate(view.snapshot)}.
          </p>
        </div>
        <div class="actions">
          <button type="button" class="button plain" onClick={leaveSnapshot}>
            Back to {opened.name}
          </button>
        </div>
      </div>
      <MissingFiles missing={opened.missing} leaf={opened.file} />
      <Tiles disk={view} />
      <DownloadCard disk={view} />
      <MapCard disk={view} />
    </div>
  );
}
