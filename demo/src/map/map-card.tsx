/** Renders the section of the allocation map: summary, map, legend, table. */
import type { JSX } from 'preact';
import { describe } from '../engine/problem.js';
import { formatShare, formatSize } from '../engine/size.js';
import { shortName } from '../image/chain.js';
import type { DiskView } from '../session/disk-view.js';
import { report } from '../session/session.js';
import { Card } from '../ui/card.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { ExtentTable } from './extent-table.js';
import { MapCanvas } from './map-canvas.js';
import { MapLegend } from './map-legend.js';
import { mapSummary } from './map-words.js';

/** The allocation map of an image, with its descriptions in words. */
export function MapCard({ disk }: { readonly disk: DiskView }): JSX.Element {
  const { map, image, name: diskName } = disk;
  const layerName = (depth: number): string => {
    const name = image.info.chain[depth]?.name;
    return depth === 0 || !name ? (depth === 0 ? 'this image' : `layer ${depth}`) : shortName(name);
  };
  if (map.allocation.cellCount === 0) {
    return (
      <Card title="Allocation map">
        <p>This disk has a size of 0 bytes: there is nothing to map.</p>
      </Card>
    );
  }
  return (
    <Card title="Allocation map" class="wide">
      <MapSummary disk={disk} />
      <MapCanvas
        map={map}
        onPick={(cell) => {
          map.page.value = map.pages.pageOf(map.allocation.bounds(cell).start);
        }}
      />
      <div class="map-below">
        <MapLegend map={map} />
        <ExtentTable map={map} layerName={layerName} onError={(error) => report(error, diskName)} />
      </div>
      {typeof map.state.value === 'object' && <ProblemNotice problem={describe(map.state.value.failed, diskName)} />}
    </Card>
  );
}

/** The map in words, for users who cannot see it; while it loads, the progress. */
function MapSummary({ disk }: { readonly disk: DiskView }): JSX.Element {
  const { allocation, state, version } = disk.map;
  void version.value;
  if (typeof state.value === 'object') {
    return (
      <p class="summary">
        The map could be read up to {formatSize(allocation.mapped)} of {formatSize(allocation.size)}.
      </p>
    );
  }
  const scale = `A cell is ${formatSize(allocation.cellSize)} of the disk.`;
  return (
    <p class="summary">
      {state.value === 'loading'
        ? `Loading the map: ${formatShare(allocation.mapped, allocation.size)} of ${formatSize(allocation.size)}.`
        : `${mapSummary(allocation).join(' ')} ${scale}`}
    </p>
  );
}
