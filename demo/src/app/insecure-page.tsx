/** The page where it is no secure context: browsers give it neither OPFS nor Web Locks, and it opens no image. */
import type { JSX } from 'preact';
import { PageHead } from './page-head.js';

/** Says what the page needs, and how to get it. */
export function InsecurePage(): JSX.Element {
  return (
    <>
      <PageHead />
      <main>
        <div class="welcome">
          <h1>Open this page over https or from localhost</h1>
          <p class="lead">
            It came over http from {location.host}. To such a page browsers give no storage and no locks, and it needs
            both to open an image.
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
