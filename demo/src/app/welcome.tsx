/** Renders the start page: an introduction, and the three ways to open an image. */
import type { JSX } from 'preact';
import { openFiles, openSample } from '../session/session.js';
import { StoreSection } from '../store/store-section.js';
import { ChooseButton } from '../ui/choose-button.js';
import { AddressForm } from '../welcome/address-form.js';

/** The start page. */
export function Welcome(): JSX.Element {
  return (
    <div class="welcome">
      <h1>See inside a virtual disk</h1>
      <p class="lead">
        Drop a qcow2 image, the disk format of QEMU, and look at its header, its snapshots, its backing chain and a map
        of every cluster. Take it away as a raw disk, or keep it in this browser, where you can create images too.
      </p>
      <div class="drop-zone">
        <p class="drop-hint">Drop an image anywhere on this page</p>
        <div class="actions">
          <ChooseButton kind="primary" onFiles={openFiles}>
            Choose files
          </ChooseButton>
          <button type="button" class="button plain" onClick={openSample}>
            Try a sample image
          </button>
        </div>
        <AddressForm />
      </div>
      <StoreSection />
      <ul class="promises">
        <li>
          <strong>Nothing leaves your computer.</strong> A file is read in place by this page, and is never changed or
          uploaded. An address is fetched by your browser, from that server alone.
        </li>
        <li>
          <strong>Any size.</strong> Only the tables are read until you ask for more: the header of a 100 GiB image is
          there at once.
        </li>
        <li>
          <strong>Overlays too.</strong> Drop an image together with the files it is based on, and they are joined by
          name.
        </li>
      </ul>
    </div>
  );
}
