/** Owns the sections of what the image keeps beside its disk: snapshots and bitmaps. */
import type { JSX } from 'preact';
import type { ImageInfo, SnapshotInfo } from 'qcow2';
import { formatDuration } from '../pace.js';
import { formatSize } from '../size.js';
import { Card } from './card.js';

const DATES = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

/** The internal snapshots, by name. */
export function SnapshotsCard({ info }: { readonly info: ImageInfo }): JSX.Element {
  return (
    <Card title="Snapshots">
      {info.snapshots.length === 0 ? (
        <p class="soft">None inside this image.</p>
      ) : (
        <ul class="plain-list">
          {info.snapshots.map((snapshot) => (
            <li key={snapshot.id}>
              <strong>{snapshot.name || `Snapshot ${snapshot.id}`}</strong>{' '}
              <span class="soft">{snapshotWords(snapshot)}</span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function snapshotWords(snapshot: SnapshotInfo): string {
  const words = [`id ${snapshot.id}`, DATES.format(snapshot.dateSec * 1000)];
  if (snapshot.diskSize !== null) words.push(`disk of ${formatSize(snapshot.diskSize)}`);
  if (snapshot.vmStateSize > 0) words.push(`machine state of ${formatSize(snapshot.vmStateSize)}`);
  if (snapshot.vmClockSec > 0) words.push(`after ${formatDuration(snapshot.vmClockSec)} of running`);
  return words.join(', ');
}

/** The persistent dirty bitmaps, by name. */
export function BitmapsCard({ info }: { readonly info: ImageInfo }): JSX.Element {
  return (
    <Card title="Dirty bitmaps">
      {info.bitmaps.length === 0 ? (
        <p class="soft">None inside this image.</p>
      ) : (
        <ul class="plain-list">
          {info.bitmaps.map((bitmap) => (
            <li key={bitmap.name}>
              <strong>{bitmap.name}</strong>{' '}
              <span class="soft">{[`a bit for ${formatSize(bitmap.granularity)}`, ...bitmap.flags].join(', ')}</span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
