/** Renders the section about the LUKS header of an encrypted image. */
import type { JSX } from 'preact';
import type { ImageInfo } from 'qcow2';
import { formatCount, formatNumberOf } from '../engine/size.js';
import { Card } from '../ui/card.js';
import { type Fact, Facts } from '../ui/facts.js';

/** Cipher and key slots; null for an image that is not encrypted by LUKS. */
export function LuksCard({ info }: { readonly info: ImageInfo }): JSX.Element | null {
  const { encryption, luks } = info;
  if (encryption !== 'luks') return null;
  if (luks === undefined) {
    return (
      <Card title="Encryption (LUKS)">
        <p>The header of the encryption is damaged, or of a kind that this page does not know.</p>
      </Card>
    );
  }
  const { cipherAlg, cipherMode, ivgenAlg, ivgenHashAlg, hashAlg, uuid, masterKeyIters, slots } = luks;
  const facts: Fact[] = [
    ['Cipher', `${cipherAlg}, ${cipherMode}`],
    ['IV generator', ivgenHashAlg === undefined ? ivgenAlg : `${ivgenAlg}, ${ivgenHashAlg}`],
    ['Hash', hashAlg],
    ['UUID', <span class="code">{uuid}</span>],
    ['Master key', formatNumberOf(masterKeyIters, 'iteration')],
  ];
  return (
    <Card title="Encryption (LUKS)">
      <Facts facts={facts} />
      <p>
        {slots.filter(({ active }) => active).length} of {formatNumberOf(slots.length, 'key slot')} in use.
      </p>
      <ul class="plain-list">
        {slots.map(({ active, iters, stripes, keyOffset }, index) =>
          active ? (
            <li key={keyOffset}>
              <strong>Slot {index}</strong>{' '}
              <span class="soft">
                {formatNumberOf(iters ?? 0, 'iteration')}, {formatCount(stripes ?? 0)} stripes
              </span>
            </li>
          ) : null,
        )}
      </ul>
    </Card>
  );
}
