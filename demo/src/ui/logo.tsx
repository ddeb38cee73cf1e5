/** Renders the page's logo: a disk as a few cells of its map. */
import type { JSX } from 'preact';

const CELLS = [1, 1, 0, 1, 0, 0, 1, 1, 1];

/** The logo. It is decorative, since the name is beside it. */
export function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
      {CELLS.map((full, index) => (
        <rect
          key={index}
          x={1 + (index % 3) * 8}
          y={1 + Math.floor(index / 3) * 8}
          width="6"
          height="6"
          rx="1.5"
          class={full ? 'full' : 'empty'}
        />
      ))}
    </svg>
  );
}
