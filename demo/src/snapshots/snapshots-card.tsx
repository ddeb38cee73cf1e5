/** Renders the section of the internal snapshots. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { DownloadButton } from '../download/download-button.js';
import { DownloadProgress, downloadWords } from '../download/download-progress.js';
import { formatDuration } from '../engine/pace.js';
import { formatSize } from '../engine/size.js';
import { leftSnapshot, type Opened, showSnapshot } from '../session/session.js';
import { Card } from '../ui/card.js';
import { ScrollTable } from '../ui/scroll-table.js';
import type { SnapshotDisk } from './snapshot-disk.js';

const DATES = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

/** When a snapshot was taken, in words. */
export function snapshotDate({ info }: SnapshotDisk): string {
  return DATES.format(info.dateSec * 1000);
}

/** The snapshots inside the image. The disk of each can be opened, and downloaded as raw. */
export function SnapshotsCard({ opened }: { readonly opened: Opened }): JSX.Element {
  const { snapshots } = opened;
  if (snapshots.length === 0) {
    return (
      <Card title="Snapshots">
        <p class="soft">None inside this image.</p>
      </Card>
    );
  }
  const columns = [
    'Name',
    'Id',
    'Taken',
    { name: 'Disk', number: true },
    { name: 'Machine state', number: true },
    { name: 'Machine clock', number: true },
    'Its disk',
  ] as const;
  return (
    <Card title="Snapshots">
      <div class="progresses">
        <ScrollTable label="List of snapshots" columns={columns}>
          {snapshots.map((snapshot) => (
            <SnapshotRow key={snapshot} snapshot={snapshot} opened={opened} />
          ))}
        </ScrollTable>
        {snapshots.map((snapshot) => (
          <SnapshotProgress key={snapshot} snapshot={snapshot} />
        ))}
      </div>
    </Card>
  );
}

interface SnapshotRowProps {
  readonly snapshot: SnapshotDisk;
  readonly opened: Opened;
}

function SnapshotRow({ snapshot, opened }: SnapshotRowProps): JSX.Element {
  const { name, info, size, download } = snapshot;
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (leftSnapshot.peek() === snapshot) button.current?.focus();
  }, []);
  return (
    <tr>
      <td>
        <strong>{name}</strong>
      </td>
      <td>{info.id}</td>
      <td>{snapshotDate(snapshot)}</td>
      <td class="number">{formatSize(size)}</td>
      <td class="number">{info.vmStateSize > 0 ? formatSize(info.vmStateSize) : 'None'}</td>
      <td class="number">{info.vmClockSec > 0 ? formatDuration(info.vmClockSec) : 'None'}</td>
      <td>
        <div class="actions row-actions">
          <button
            ref={button}
            type="button"
            class="button plain small"
            aria-label={`Open ${name}`}
            onClick={() => showSnapshot(opened, snapshot)}
          >
            Open
          </button>
          <DownloadButton name={name} download={download} blocked={opened.missing.length > 0} />
        </div>
      </td>
    </tr>
  );
}

/** The progress of a snapshot's download; nothing before it starts. */
function SnapshotProgress({ snapshot }: { readonly snapshot: SnapshotDisk }): JSX.Element {
  const section = useRef<HTMLDivElement>(null);
  return (
    <div ref={section} tabIndex={-1}>
      <DownloadProgress download={snapshot.download} onPressed={() => section.current?.focus()} />
      <p class="visually-hidden" role="status">
        {downloadWords(snapshot.download)}
      </p>
    </div>
  );
}
