/** Renders the sections about the header: format, tables, features, extensions. */
import type { JSX } from 'preact';
import type { ImageInfo } from 'qcow2';
import { formatCount, formatExactSize, formatNumberOf, formatOffset, formatSize } from '../engine/size.js';
import { Card } from '../ui/card.js';
import { type Fact, Facts } from '../ui/facts.js';

const yesNo = (value: boolean): string => (value ? 'Yes' : 'No');
const offset = (value: number): JSX.Element => <span class="code">{formatOffset(value)}</span>;

/** The format of the image. */
export function FormatCard({ info }: { readonly info: ImageInfo }): JSX.Element {
  const facts: Fact[] = [
    ['Version', `${info.version} (compat ${info.compat})`],
    ['Disk size', formatExactSize(info.virtualSize)],
    ['File size', formatExactSize(info.fileSize)],
    ['Cluster size', formatExactSize(info.clusterSize)],
    ['Refcounts', `${info.refcountBits} bits${info.lazyRefcounts ? ', lazy' : ''}`],
    ['Compression', info.compressionType],
    ['Extended L2 entries', info.extendedL2 ? `Yes, subclusters of ${formatSize(info.subclusterSize)}` : 'No'],
    ['Encryption', info.encryption ?? 'None'],
    ['Closed cleanly', yesNo(!info.dirty)],
    ['Marked corrupt', yesNo(info.corrupt)],
  ];
  if (info.backingFile !== undefined) {
    facts.push(['Backing file', `${info.backingFile} (${info.backingFormat ?? 'format not specified'})`]);
  }
  if (info.dataFile !== undefined) facts.push(['Data file', `${info.dataFile}${info.dataFileRaw ? ' (raw)' : ''}`]);
  return (
    <Card title="Format">
      <Facts facts={facts} />
    </Card>
  );
}

/** Where the tables are, according to the header. */
export function HeaderCard({ info }: { readonly info: ImageInfo }): JSX.Element {
  const { header } = info;
  const facts: Fact[] = [
    ['Header length', formatNumberOf(header.headerLength, 'byte')],
    ['L1 table', offset(header.l1TableOffset)],
    ['L1 entries', formatCount(header.l1Entries)],
    ['Refcount table', offset(header.refcountTableOffset)],
    ['Refcount table length', formatNumberOf(header.refcountTableClusters, 'cluster')],
    ['Snapshot table', header.snapshotsOffset === 0 ? 'None' : offset(header.snapshotsOffset)],
    ['Backing file name', header.backingFileOffset === 0 ? 'None' : offset(header.backingFileOffset)],
  ];
  return (
    <Card title="Header">
      <Facts facts={facts} />
    </Card>
  );
}

/** The feature bits that are set. */
export function FeaturesCard({ info }: { readonly info: ImageInfo }): JSX.Element {
  return (
    <Card title="Features">
      {info.features.length === 0 ? (
        <p class="soft">No feature bit is set.</p>
      ) : (
        <ul class="plain-list">
          {info.features.map((feature) => (
            <li key={`${feature.kind}${feature.bit}`}>
              <strong>{feature.name ?? 'Unnamed feature'}</strong>{' '}
              <span class="soft">
                {feature.kind}, bit {feature.bit}
                {!feature.known && ', unknown to this page'}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

/** The header extensions, known or unknown. */
export function ExtensionsCard({ info }: { readonly info: ImageInfo }): JSX.Element {
  return (
    <Card title="Header extensions">
      {info.extensions.length === 0 ? (
        <p class="soft">None.</p>
      ) : (
        <ul class="plain-list">
          {info.extensions.map((extension) => (
            <li key={extension.offset}>
              <strong>{extension.name ?? 'Unknown extension'}</strong>{' '}
              <span class="soft">
                <span class="code">{formatOffset(extension.type)}</span>
                {`, ${formatNumberOf(extension.length, 'byte')} at `}
                <span class="code">{formatOffset(extension.offset)}</span>
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
