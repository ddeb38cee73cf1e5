/** Renders the rarely used fields of a new image, folded at first. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { CheckField, SelectField } from '../ui/form-field.js';
import type { CreateForm, Existing, Refusals } from './create-form.js';

const REFCOUNT_BITS = [1, 2, 4, 8, 16, 32, 64];
const COMPRESSIONS = [
  ['zlib', 'Deflate (zlib)'],
  ['zstd', 'Zstandard (zstd)'],
] as const;
const PREALLOCATIONS = [
  ['off', 'No'],
  ['metadata', 'Tables (metadata)'],
] as const;

interface CreateAdvancedProps {
  readonly form: CreateForm;
  readonly refusals: Refusals;
  readonly existing: readonly Existing[];
  readonly set: (change: Partial<CreateForm>) => void;
}

/** The other options, each with its meaning. Unfolds when one of them is refused. */
export function CreateAdvanced({ form, refusals, existing, set }: CreateAdvancedProps): JSX.Element {
  const { refcountBits, lazyRefcounts, compressionType, extendedL2, preallocation } = refusals;
  const refused = [refcountBits, lazyRefcounts, compressionType, extendedL2, preallocation].some(Boolean);
  const open = useSignal(false);
  useEffect(() => {
    if (refused) open.value = true;
  }, [refused]);
  return (
    <details
      class="advanced"
      open={open.value}
      onToggle={(event) => {
        open.value = event.currentTarget.open;
      }}
    >
      <summary>Advanced</summary>
      <div class="advanced-fields">
        <AdvancedChoices form={form} refusals={refusals} existing={existing} set={set} />
        <AdvancedChecks form={form} refusals={refusals} set={set} />
        <p class="soft">External data files and encryption are not made here.</p>
      </div>
    </details>
  );
}

function AdvancedChoices({ form, refusals, existing, set }: CreateAdvancedProps): JSX.Element {
  const bases = existing.map(({ name }) => [name, name] as const);
  return (
    <div class="fields">
      <SelectField
        label="Backing file"
        hint="An image here whose contents this one starts with. Leave the size empty to take its size."
        refusal={refusals.backingFile}
        value={form.backingFile}
        choices={[['', 'None'] as const, ...bases]}
        onChange={(backingFile) => set({ backingFile })}
      />
      <SelectField
        label="Preallocation"
        hint="Allocates every cluster now: the file is as long as the disk."
        refusal={refusals.preallocation}
        value={form.preallocation}
        choices={PREALLOCATIONS}
        onChange={(choice) => set({ preallocation: choice })}
      />
      <SelectField
        label="Compression"
        hint="How clusters are packed when they are written compressed."
        refusal={refusals.compressionType}
        value={form.compressionType}
        choices={COMPRESSIONS}
        onChange={(choice) => set({ compressionType: choice })}
      />
      <SelectField
        label="Refcount bits"
        hint="How often a cluster can be shared between snapshots: 16 bits are 65,535 times."
        refusal={refusals.refcountBits}
        value={form.refcountBits}
        choices={REFCOUNT_BITS.map((bits) => [bits, String(bits)])}
        onChange={(bits) => set({ refcountBits: bits })}
      />
    </div>
  );
}

function AdvancedChecks({ form, refusals, set }: Omit<CreateAdvancedProps, 'existing'>): JSX.Element {
  return (
    <>
      <CheckField
        label="Subclusters (extended L2)"
        hint="Allocates a 32nd of a cluster at a time: less copying in overlays."
        refusal={refusals.extendedL2}
        checked={form.extendedL2}
        onChange={(checked) => set({ extendedL2: checked })}
      />
      <CheckField
        label="Lazy refcounts"
        hint="Writes go faster; after a crash the image must be repaired first."
        refusal={refusals.lazyRefcounts}
        checked={form.lazyRefcounts}
        onChange={(checked) => set({ lazyRefcounts: checked })}
      />
    </>
  );
}
