/**
 * The page where it is not a secure context: browsers then provide neither OPFS nor Web Locks, and no image can be
 * opened.
 */
import type { JSX } from 'preact';
import { PageHead } from './page-head.js';

/** Shows what the page needs, and how to get it. */
export function InsecurePage(): JSX.Element {
  return (
    <>
      <PageHead />
      <main>
        <div class="welcome">
          <h1>Open this page over https or from localhost</h1>
          <p class="lead">
            It came over http from {location.host}. Browsers give such a page no storage and no locks, and it needs both
            to open an image.
          </p>
          <ul class="ways">
            <li>If its server has an https address, use that.</li>
            <li>
              Or run it on this computer: <code class="code">npm start</code> in the project’s folder serves it on
              localhost.
            </li>
          </ul>
        </div>
      </main>
    </>
  );
}
