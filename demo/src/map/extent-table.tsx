/** Renders the table of extents, one page at a time. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Extent } from 'qcow2';
import { formatCount, formatNumberOf, formatOffset, formatSize } from '../engine/size.js';
import { KIND_WORDS, kindOf } from './kind.js';
import { Swatch } from './map-legend.js';
import type { MapLoad } from './map-load.js';

interface ExtentTableProps {
  readonly map: MapLoad;
  /** Called when a page could not be read. */
  readonly onError: (error: unknown) => void;
  /** The label of a layer of the chain, by its depth. */
  readonly layerName: (depth: number) => string;
}

/** Page `map.page` of the extents, with a pager. */
export function ExtentTable({ map, onError, layerName }: ExtentTableProps): JSX.Element {
  const { pages, page, version } = map;
  void version.value;
  const rows = useSignal<readonly Extent[]>([]);
  const isLast = page.value >= pages.pageCount - 1;
  // Only the last page still grows while the map loads.
  const growing = isLast ? pages.count : -1;
  useEffect(() => {
    const abort = new AbortController();
    pages.page(page.value, abort.signal).then(
      (extents) => {
        rows.value = extents;
      },
      (error: unknown) => {
        if (!abort.signal.aborted) onError(error);
      },
    );
    return () => abort.abort();
  }, [map, page.value, growing]);

  return (
    <div class="extents">
      <h3 id="extents-title">Extents</h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls sideways must be reachable by keyboard */}
      <section class="scroll" aria-labelledby="extents-title" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col" class="number">
                Start
              </th>
              <th scope="col" class="number">
                Length
              </th>
              <th scope="col">Holds</th>
              <th scope="col">In</th>
              <th scope="col" class="number">
                At
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.value.map((extent) => (
              <ExtentRow key={extent.start} extent={extent} layer={layerName(extent.depth)} />
            ))}
          </tbody>
        </table>
      </section>
      <Pager map={map} />
    </div>
  );
}

function ExtentRow({ extent, layer }: { readonly extent: Extent; readonly layer: string }): JSX.Element {
  const kind = kindOf(extent);
  return (
    <tr>
      <td class="number code">{formatOffset(extent.start)}</td>
      <td class="number" title={`${formatCount(extent.length)} bytes`}>
        {formatSize(extent.length)}
      </td>
      <td>
        <Swatch kind={kind} /> {KIND_WORDS[kind].label}
      </td>
      <td>{kind === 'unallocated' ? '' : layer}</td>
      <td class="number code">{extent.offset === undefined ? '' : formatOffset(extent.offset)}</td>
    </tr>
  );
}

function Pager({ map }: { readonly map: MapLoad }): JSX.Element {
  const { pages, page, state } = map;
  const last = Math.max(0, pages.pageCount - 1);
  const go = (target: number): void => {
    page.value = Math.min(last, Math.max(0, target));
  };
  const button = (label: string, target: number, usable: boolean): JSX.Element => (
    <button type="button" class="button plain small" aria-disabled={!usable} onClick={() => usable && go(target)}>
      {label}
    </button>
  );
  return (
    <nav class="pager" aria-label="Pages of extents">
      {button('First', 0, page.value > 0)}
      {button('Previous', page.value - 1, page.value > 0)}
      <span role={state.value === 'loading' ? undefined : 'status'}>
        Page {formatCount(page.value + 1)} of {formatCount(last + 1)}, {formatNumberOf(pages.count, 'extent')}
        {state.value === 'loading' && ' so far'}
      </span>
      {button('Next', page.value + 1, page.value < last)}
      {button('Last', last, page.value < last)}
    </nav>
  );
}
