/** Renders the download section: the resulting file, progress in numbers, cancel, and the result. */
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { formatSize } from '../engine/size.js';
import type { DiskView } from '../session/disk-view.js';
import { Card } from '../ui/card.js';
import { DownloadProgress, downloadWords } from './download-progress.js';

/** The section of the download, in any state. */
export function DownloadCard({ disk }: { readonly disk: DiskView }): JSX.Element {
  const { download, map, missing } = disk;
  void map.version.value; // the data size becomes more accurate with every extent
  const state = download.state.value;
  const { busy } = download;
  const encrypted = disk.image.info.encryption !== undefined;
  const blocked = missing.length > 0 || encrypted;
  const button = useRef<HTMLButtonElement>(null);
  return (
    <Card title="Take it away" class="download">
      <div class="download-row">
        <p>
          <strong>{download.fileName}</strong>: {sizeSentence(disk)}
          {missing.length > 0 && ' A file of the chain is missing: add it first.'}
          {encrypted && ' It is encrypted, and this page asks for no passphrase: its disk cannot be read here.'}
        </p>
        {state.step === 'running' ? (
          <button type="button" class="button plain" onClick={() => download.cancel()}>
            Cancel download
          </button>
        ) : (
          <button
            ref={button}
            type="button"
            class="button primary"
            aria-disabled={busy || blocked}
            onClick={() => !busy && !blocked && download.start()}
          >
            Download as raw
          </button>
        )}
      </div>
      <DownloadProgress download={download} onPressed={() => button.current?.focus()} />
      <p class="visually-hidden" role="status">
        {downloadWords(download)}
      </p>
    </Card>
  );
}

/** The final size, before the download starts: `2 GiB file; 300 MiB of it data.` */
function sizeSentence({ download, map, missing }: DiskView): string {
  const whole = `${formatSize(download.total)} file`;
  if (map.state.value !== 'complete' || missing.length > 0) return `${whole}.`;
  const { stored, size } = map.allocation;
  if (stored === size) return `${whole}, all of it data.`;
  return `${whole}; ${formatSize(stored)} of it data, the rest zeros.`;
}
