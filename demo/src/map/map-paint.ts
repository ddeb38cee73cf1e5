/** Paints the allocation map: the colour and pattern of each kind, the cells, the mark on the selected one. */

import { formatSize } from '../engine/size.js';
import type { Allocation } from './allocation.js';
import { KINDS, type Kind } from './kind.js';
import { type MapGrid, positionOf } from './map-grid.js';
import type { Palette } from './palette.js';

/** Side of a pattern's tile, CSS pixels. */
const TILE = 6;
/** Minimum height of a kind that is present in a cell, CSS pixels. */
const MIN_HEIGHT = 2;
/** Interval of the rows that are labelled with their offset. */
const LABEL_ROWS = 2;

type Fills = Readonly<Record<Kind, string | CanvasPattern>>;

/** Scales the canvas to the screen's resolution, and returns its context in CSS pixels. */
export function prepareCanvas(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser has no more canvas contexts.');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Paints every cell, and marks the selected one. */
export function paintMap(
  context: CanvasRenderingContext2D,
  grid: MapGrid,
  allocation: Allocation,
  palette: Palette,
  chosen: number | null,
): void {
  const fills = makeFills(context, palette);
  context.clearRect(0, 0, grid.width, grid.height);
  if (grid.left > 0) paintLabels(context, grid, allocation, palette);
  for (let cell = 0; cell < grid.cellCount; cell++) paintCell(context, grid, allocation, palette, fills, cell);
  if (chosen !== null) paintMark(context, grid, palette, chosen);
}

/** Fills a square with one kind: the legend's swatch. */
export function paintSwatch(context: CanvasRenderingContext2D, palette: Palette, kind: Kind, side: number): void {
  context.clearRect(0, 0, side, side);
  context.fillStyle = makeFills(context, palette)[kind];
  context.fillRect(0, 0, side, side);
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  context.strokeRect(0.5, 0.5, side - 1, side - 1);
}

function paintCell(
  context: CanvasRenderingContext2D,
  grid: MapGrid,
  allocation: Allocation,
  palette: Palette,
  fills: Fills,
  cell: number,
): void {
  const { x, y } = positionOf(grid, cell);
  const side = grid.pitch - grid.gap;
  const { start, end } = allocation.bounds(cell);
  if (start >= allocation.mapped) {
    context.fillStyle = palette.line;
    context.fillRect(x + side / 2 - 1, y + side / 2 - 1, 2, 2);
    return;
  }
  context.fillStyle = fills.unallocated;
  context.fillRect(x, y, side, side);
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
  let bottom = y + side;
  for (const kind of KINDS) {
    const bytes = allocation.share(cell, kind);
    if (bytes === 0 || kind === 'unallocated') continue;
    const height = Math.min(bottom - y, Math.max(MIN_HEIGHT, (bytes / (end - start)) * side));
    context.fillStyle = fills[kind];
    context.fillRect(x, bottom - height, side, height);
    bottom -= height;
  }
}

function paintLabels(context: CanvasRenderingContext2D, grid: MapGrid, allocation: Allocation, palette: Palette): void {
  context.fillStyle = palette.text;
  context.font = `12px ${palette.font}`;
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  for (let row = 0; row < grid.rows; row += LABEL_ROWS) {
    const offset = row * grid.columns * allocation.cellSize;
    context.fillText(
      row === 0 ? '0' : formatSize(offset),
      grid.left - 12,
      row * grid.pitch + (grid.pitch - grid.gap) / 2,
    );
  }
}

function paintMark(context: CanvasRenderingContext2D, grid: MapGrid, palette: Palette, cell: number): void {
  const { x, y } = positionOf(grid, cell);
  const side = grid.pitch - grid.gap;
  context.strokeStyle = palette.surface;
  context.lineWidth = 4;
  context.strokeRect(x, y, side, side);
  context.strokeStyle = palette.mark;
  context.lineWidth = 2;
  context.strokeRect(x, y, side, side);
}

/**
 * The fill of each kind: a colour, and for all but plain data a pattern, for users who cannot distinguish the colours.
 */
function makeFills(context: CanvasRenderingContext2D, palette: Palette): Fills {
  const tile = (kind: Kind, draw: (ink: CanvasRenderingContext2D) => void): string | CanvasPattern =>
    makePattern(context, palette.fill[kind], palette.ink[kind], draw) ?? palette.fill[kind];
  return {
    data: palette.fill.data,
    compressed: tile('compressed', (ink) => {
      drawLine(ink, -1, TILE + 1, TILE + 1, -1);
      drawLine(ink, -1, 1, 1, -1);
      drawLine(ink, TILE - 1, TILE + 1, TILE + 1, TILE - 1);
    }),
    backing: tile('backing', (ink) => {
      ink.fillRect(1, 1, 2, 2);
      ink.fillRect(4, 4, 2, 2);
    }),
    zero: tile('zero', (ink) => {
      ink.fillRect(0, 1, TILE, 1);
      ink.fillRect(0, 4, TILE, 1);
    }),
    unallocated: palette.fill.unallocated,
    unknown: tile('unknown', (ink) => {
      drawLine(ink, 0, 0, TILE, TILE);
      drawLine(ink, 0, TILE, TILE, 0);
    }),
  };
}

function makePattern(
  context: CanvasRenderingContext2D,
  fill: string,
  inkColour: string,
  draw: (ink: CanvasRenderingContext2D) => void,
): CanvasPattern | null {
  const ratio = window.devicePixelRatio || 1;
  const ink = prepareCanvas(document.createElement('canvas'), TILE, TILE);
  ink.fillStyle = fill;
  ink.fillRect(0, 0, TILE, TILE);
  ink.fillStyle = inkColour;
  ink.strokeStyle = inkColour;
  ink.lineWidth = 1.2;
  draw(ink);
  const pattern = context.createPattern(ink.canvas, 'repeat');
  // The tile is in screen pixels; the context is in CSS pixels.
  pattern?.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern;
}

function drawLine(ink: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ink.beginPath();
  ink.moveTo(x1, y1);
  ink.lineTo(x2, y2);
  ink.stroke();
}
