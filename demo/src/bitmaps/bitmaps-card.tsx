/** Renders the section of the persistent dirty bitmaps. */
import type { JSX } from 'preact';
import type { BitmapInfo } from 'qcow2';
import { formatShare, formatSize } from '../engine/size.js';
import type { Opened } from '../session/session.js';
import { Card } from '../ui/card.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { ScrollTable } from '../ui/scroll-table.js';
import { type BitmapCount, bitmapWords, isTrusted } from './bitmap-count.js';

/** The bitmaps of the image, and on request how much each marks. */
export function BitmapsCard({ opened }: { readonly opened: Opened }): JSX.Element {
  const { image, count } = opened;
  if (image.bitmaps.length === 0) {
    return (
      <Card title="Dirty bitmaps">
        <p class="soft">None inside this image.</p>
      </Card>
    );
  }
  const state = count.state.value;
  return (
    <Card title="Dirty bitmaps">
      <div class="download-row">
        <p>A bitmap marks what was written since it was made, for incremental backups.</p>
        {image.bitmaps.some(isTrusted) && <CountButton count={count} />}
      </div>
      <ScrollTable
        label="List of bitmaps"
        columns={['Name', { name: 'A bit for', number: true }, 'State', { name: 'Marked', number: true }]}
      >
        {image.bitmaps.map((bitmap) => (
          <BitmapRow
            key={bitmap.name}
            bitmap={bitmap}
            marked={count.marked.value.get(bitmap)}
            diskSize={opened.image.size}
          />
        ))}
      </ScrollTable>
      {state.step === 'refused' && <ProblemNotice problem={state.problem} />}
      <p class="visually-hidden" role="status">
        {state.step === 'running' && 'Counting.'}
        {state.step === 'finished' && 'What the bitmaps mark is counted.'}
      </p>
    </Card>
  );
}

function CountButton({ count }: { readonly count: BitmapCount }): JSX.Element {
  const { step } = count.state.value;
  const press = (): void => {
    if (step === 'running') count.cancel();
    else if (step !== 'finished') void count.run();
  };
  return (
    <button type="button" class="button plain" aria-disabled={step === 'finished'} onClick={press}>
      {step === 'running' ? 'Cancel' : 'Count what they mark'}
    </button>
  );
}

interface BitmapRowProps {
  readonly bitmap: BitmapInfo;
  /** Bytes; undefined until it is counted. */
  readonly marked: number | undefined;
  readonly diskSize: number;
}

function BitmapRow({ bitmap, marked, diskSize }: BitmapRowProps): JSX.Element {
  const counted = marked === undefined ? 'Not counted' : `${formatSize(marked)}, ${formatShare(marked, diskSize)}`;
  return (
    <tr>
      <td>{bitmap.name}</td>
      <td class="number">{formatSize(bitmap.granularity)}</td>
      <td class="words">{bitmapWords(bitmap)}</td>
      <td class="number">{isTrusted(bitmap) ? counted : 'Unknown'}</td>
    </tr>
  );
}
