/** Renders a list of names and values. */
import type { ComponentChildren, JSX } from 'preact';

/** A name and its value. */
export type Fact = readonly [name: string, value: ComponentChildren];

/** Names beside their values, as a description list. */
export function Facts({ facts }: { readonly facts: readonly Fact[] }): JSX.Element {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
