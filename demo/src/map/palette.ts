/**
 * Reads the colours of the map from the page's CSS custom properties, so that both themes and forced colours apply to
 * the canvas.
 */
import { type Signal, signal } from '@preact/signals';
import { KINDS, type Kind } from './kind.js';

/** The CSS colours that the map is painted with. */
export interface Palette {
  readonly fill: Readonly<Record<Kind, string>>;
  /** The pattern over the fill. */
  readonly ink: Readonly<Record<Kind, string>>;
  /** The edge of a cell. */
  readonly line: string;
  /** The mark of the selected cell. */
  readonly mark: string;
  /** The space between that mark and the cells. */
  readonly surface: string;
  readonly text: string;
  readonly font: string;
}

/** Increases when the theme changes, which triggers a repaint. */
export const themeVersion: Signal<number> = signal(0);

for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
  matchMedia(query).addEventListener('change', () => {
    themeVersion.value += 1;
  });
}

/** The current values of the custom properties for an element. */
export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const each = (suffix: string): Record<Kind, string> =>
    Object.fromEntries(KINDS.map((kind) => [kind, token(`--map-${kind}${suffix}`)])) as Record<Kind, string>;
  return {
    fill: each(''),
    ink: each('-ink'),
    line: token('--map-line'),
    mark: token('--ink'),
    surface: token('--surface'),
    text: token('--ink-soft'),
    font: style.fontFamily,
  };
}
