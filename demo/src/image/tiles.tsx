/** Renders the row of figures at the head of a disk. */
import type { JSX } from 'preact';
import { formatCount, formatNumberOf, formatShare, formatSize } from '../engine/size.js';
import type { DiskView } from '../session/disk-view.js';

/** The four most important figures. */
export function Tiles({ disk }: { readonly disk: DiskView }): JSX.Element {
  const { info } = disk.image;
  const { allocation, state, version } = disk.map;
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
