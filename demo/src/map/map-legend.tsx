/** Renders the legend of the map: the colour and pattern of each kind, and its share of the disk. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { formatShare, formatSize } from '../engine/size.js';
import { KIND_WORDS, KINDS, type Kind } from './kind.js';
import type { MapLoad } from './map-load.js';
import { paintSwatch, prepareCanvas } from './map-paint.js';
import { readPalette, themeVersion } from './palette.js';

/** Side of a swatch, CSS pixels. */
const SWATCH = 18;

/** The kinds that occur in the image, as far as its map is loaded. */
export function MapLegend({ map }: { readonly map: MapLoad }): JSX.Element {
  const { allocation, version } = map;
  void version.value;
  const shown = KINDS.filter((kind) => allocation.total(kind) > 0);
  return (
    <ul class="legend" aria-label="Legend">
      {shown.map((kind) => (
        <li key={kind}>
          <Swatch kind={kind} />
          <span>
            <strong>{KIND_WORDS[kind].label}</strong> {formatShare(allocation.total(kind), allocation.size)}
            <span class="soft">
              {' '}
              {formatSize(allocation.total(kind))}, {KIND_WORDS[kind].meaning}
            </span>
          </span>
        </li>
      ))}
    </ul>
  );
}

/** A square of a kind as the map paints it. */
export function Swatch({ kind }: { readonly kind: Kind }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = themeVersion.value;
  useEffect(() => {
    const element = canvas.current!;
    paintSwatch(prepareCanvas(element, SWATCH, SWATCH), readPalette(element), kind, SWATCH);
  }, [theme, kind]);
  return <canvas class="swatch" ref={canvas} />;
}
