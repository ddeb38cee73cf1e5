/**
 * Owns the colours of the map: read from the page's tokens, so that both themes and forced colours reach the canvas.
 */
import { type Signal, signal } from '@preact/signals';
import { KINDS, type Kind } from './kind.js';

/** What the map is painted with; CSS colours. */
export interface Palette {
  readonly fill: Readonly<Record<Kind, string>>;
  /** The pattern over the fill. */
  readonly ink: Readonly<Record<Kind, string>>;
  /** The edge of a cell. */
  readonly line: string;
  /** The mark of the chosen cell. */
  readonly mark: string;
  /** What separates that mark from the cells. */
  readonly surface: string;
  readonly text: string;
  readonly font: string;
}

/** Rises when the theme changes, so that what is painted from it is painted again. */
export const themeVersion: Signal<number> = signal(0);

for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
  matchMedia(query).addEventListener('change', () => {
    themeVersion.value += 1;
  });
}

/** The tokens as they hold for an element now. */
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
