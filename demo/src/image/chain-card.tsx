/** Renders the section of the backing chain. */
import type { JSX } from 'preact';
import type { LayerInfo } from 'qcow2';
import { formatSize } from '../engine/size.js';
import type { Opened } from '../session/session.js';
import { Card } from '../ui/card.js';
import { shortName } from './chain.js';

/** The files of the chain, the opened one first, with the missing ones marked. */
export function ChainCard({ opened }: { readonly opened: Opened }): JSX.Element {
  const { chain } = opened.image.info;
  return (
    <Card title="Backing chain">
      <ol class="chain">
        {chain.map((layer) => (
          <li key={layer.depth} class={layer.missing ? 'missing-layer' : ''}>
            <strong>{layer.name === undefined ? opened.file.name : shortName(layer.name)}</strong>{' '}
            <span class="soft">{layerWords(layer)}</span>
          </li>
        ))}
      </ol>
      {chain.length === 1 && <p class="soft">This image has no backing file.</p>}
    </Card>
  );
}

function layerWords(layer: LayerInfo): string {
  const words = [layer.format ?? 'format unknown'];
  if (layer.virtualSize !== undefined) words.push(formatSize(layer.virtualSize));
  if (layer.missing) words.push('not here');
  if (layer.dataFile) {
    const name = layer.dataFile.name === undefined ? 'a data file' : shortName(layer.dataFile.name);
    words.push(`data in ${name}${layer.dataFile.missing ? ', which is not here' : ''}`);
  }
  return words.join(', ');
}
