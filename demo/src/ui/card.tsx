/** Renders the frame of a section: a heading and its content. */
import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';

interface CardProps {
  readonly title: string;
  readonly class?: string;
  readonly children: ComponentChildren;
}

/** A section with a heading; screen readers list it as a region of that name. */
export function Card({ title, class: extra = '', children }: CardProps): JSX.Element {
  const id = useId();
  return (
    <section class={`card ${extra}`} aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}
