/**
 * Renders the canvas of the allocation map: paints it to the available width, and selects cells by pointer and keys.
 */
import { useSignal } from '@preact/signals';
import type { JSX, TargetedKeyboardEvent, TargetedMouseEvent, TargetedPointerEvent } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { formatCount } from '../engine/size.js';
import { cellAt, layOut, moveBy } from './map-grid.js';
import type { MapLoad } from './map-load.js';
import { paintMap, prepareCanvas } from './map-paint.js';
import { cellContents, cellPlace } from './map-words.js';
import { readPalette, themeVersion } from './palette.js';

interface MapCanvasProps {
  readonly map: MapLoad;
  /** Called when the user requests the extents of a cell. */
  readonly onPick: (cell: number) => void;
}

/** The map as a slider over its cells: arrow keys and pointer select one, and its contents are described below. */
export function MapCanvas({ map, onPick }: MapCanvasProps): JSX.Element {
  const { allocation, cell, version } = map;
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  const touched = useSignal(false);
  const grid = layOut(allocation.cellCount, width.value);

  useLayoutEffect(() => {
    const element = frame.current!;
    const observer = new ResizeObserver(() => {
      width.value = element.clientWidth;
    });
    observer.observe(element);
    width.value = element.clientWidth;
    return () => observer.disconnect();
  }, []);

  const mark = touched.value ? cell.value : null;
  const painted = [width.value, version.value, themeVersion.value, mark, allocation];
  useEffect(() => {
    const element = canvas.current;
    if (element === null || width.value === 0) return undefined;
    const request = requestAnimationFrame(() => {
      const context = prepareCanvas(element, grid.width, grid.height);
      paintMap(context, grid, allocation, readPalette(element), mark);
    });
    return () => cancelAnimationFrame(request);
  }, painted);

  const under = (event: TargetedPointerEvent<HTMLElement> | TargetedMouseEvent<HTMLElement>): number | null => {
    const box = event.currentTarget.getBoundingClientRect();
    return cellAt(grid, event.clientX - box.left, event.clientY - box.top);
  };
  const choose = (next: number | null): void => {
    if (next === null) return;
    touched.value = true;
    cell.value = next;
  };
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLElement>): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      onPick(cell.value);
      return;
    }
    const next = moveBy(grid, cell.value, event.key);
    if (next === null) return;
    event.preventDefault();
    choose(next);
  };

  return (
    <div class="map-frame" ref={frame}>
      <div
        class="map"
        role="slider"
        tabIndex={0}
        aria-label="Place on the disk"
        aria-valuemin={1}
        aria-valuemax={allocation.cellCount}
        aria-valuenow={cell.value + 1}
        aria-valuetext={cellPlace(allocation, cell.value)}
        aria-describedby="map-keys"
        style={{ width: `${grid.width}px`, height: `${grid.height}px` }}
        onFocus={() => {
          touched.value = true;
        }}
        onKeyDown={onKeyDown}
        onPointerMove={(event) => choose(under(event))}
        onClick={(event) => {
          const at = under(event);
          choose(at);
          if (at !== null) onPick(at);
        }}
      >
        <canvas ref={canvas} />
      </div>
      <MapReadout map={map} touched={touched.value} />
    </div>
  );
}

/** The contents of the selected cell, in words. */
function MapReadout({ map, touched }: { map: MapLoad; touched: boolean }): JSX.Element {
  const { allocation, cell, version } = map;
  void version.value; // the cell may fill while it is selected
  return (
    <p class="readout">
      <output aria-live="polite">
        {touched ? (
          <>
            <strong>{cellPlace(allocation, cell.value)}</strong> {cellContents(allocation, cell.value)}
          </>
        ) : (
          'Point at a cell, or move with the arrow keys, to see what it holds.'
        )}
      </output>
      <span class="soft" id="map-keys">
        Cell {formatCount(cell.value + 1)} of {formatCount(allocation.cellCount)}. Arrow keys, Page Up and Down, Home
        and End move; Enter lists its extents.
      </span>
    </p>
  );
}
