/** Renders a table that scrolls sideways within the page where it is too wide for it. */
import type { ComponentChildren, JSX } from 'preact';

/** The heading of a column. `number` aligns a column of figures to the right. */
export type Column = string | { readonly name: string; readonly number: true };

interface ScrollTableProps {
  /** Its accessible name. */
  readonly label: string;
  readonly columns: readonly Column[];
  /** Its rows. */
  readonly children: ComponentChildren;
}

/** A table with an accessible name and headings. */
export function ScrollTable({ label, columns, children }: ScrollTableProps): JSX.Element {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls sideways must be reachable by keyboard
    <section class="scroll" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => {
              const { name, number = false } = typeof column === 'string' ? { name: column } : column;
              return (
                <th key={name} scope="col" class={number ? 'number' : ''}>
                  {name}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
