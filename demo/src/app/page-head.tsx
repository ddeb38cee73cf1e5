/** The head of the page. */
import type { JSX } from 'preact';
import { Logo } from '../ui/logo.js';

/** The logo, the name and the tagline. */
export function PageHead(): JSX.Element {
  return (
    <header class="page-head">
      <p class="brand">
        <Logo /> qcow2
      </p>
      <p class="soft">Nothing leaves your computer</p>
    </header>
  );
}
