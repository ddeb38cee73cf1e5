/** Renders the dialog that creates an image. */
import { type Signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import type { Progress } from 'qcow2';
import type { StoredImage } from 'qcow2-opfs';
import { describe, type Problem } from '../engine/problem.js';
import { formatExactSize, formatSize } from '../engine/size.js';
import { SelectField, TextField } from '../ui/form-field.js';
import { Modal } from '../ui/modal.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { CreateAdvanced } from './create-advanced.js';
import {
  type CreateForm,
  type CreateRequest,
  DEFAULT_FORM,
  type Existing,
  madeSize,
  type Refusals,
  readForm,
} from './create-form.js';
import { freeName } from './free-name.js';
import { createImage } from './store-contents.js';

/** From 512 bytes to 2 MiB, as the format specifies. */
const CLUSTER_SIZES = Array.from({ length: 13 }, (_, step) => 512 * 2 ** step);
const VERSIONS = [
  [3, '3, read by QEMU since 2012'],
  [2, '2, for older programs'],
] as const;

interface CreateDialogProps {
  readonly images: readonly StoredImage[];
  /** Called when the dialog closes: with the name of the new image, or null if none was created. */
  readonly onClose: (created: string | null) => void;
}

/** The form for a new image, its refused fields, and the progress of the creation. */
export function CreateDialog({ images, onClose }: CreateDialogProps): JSX.Element {
  const existing = images.map(({ name, info }): Existing => ({ name, virtualSize: info?.virtualSize ?? null }));
  const form = useSignal<CreateForm>({ ...DEFAULT_FORM, name: freeName(DEFAULT_FORM.name, existing) });
  const refusals = useSignal<Refusals>({});
  const creation = useCreation(onClose);
  const element = useRef<HTMLFormElement>(null);
  const set = (change: Partial<CreateForm>): void => {
    form.value = { ...form.value, ...change };
    const read = readForm(form.value, existing);
    // A refusal is shown until it is corrected. An unfinished input is not refused.
    const still = 'refusals' in read ? read.refusals : {};
    refusals.value = Object.fromEntries(Object.entries(still).filter(([field]) => field in refusals.value));
  };
  const submit = (): void => {
    const read = readForm(form.value, existing);
    refusals.value = 'refusals' in read ? read.refusals : {};
    if ('request' in read) void creation.start(read.request);
    else requestAnimationFrame(() => element.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
  };
  return (
    <Modal title="Create an image" class="create" onClose={() => creation.close()}>
      <form
        ref={element}
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <BasicFields form={form.value} refusals={refusals.value} made={madeSize(form.value, existing)} set={set} />
        <CreateAdvanced form={form.value} refusals={refusals.value} existing={existing} set={set} />
        {creation.problem.value && <ProblemNotice problem={creation.problem.value} />}
        <CreateActions creation={creation} />
      </form>
    </Modal>
  );
}

interface FieldsProps {
  readonly form: CreateForm;
  readonly refusals: Refusals;
  readonly set: (change: Partial<CreateForm>) => void;
}

interface BasicFieldsProps extends FieldsProps {
  /** The exact size of the disk that is made, bytes; null while that is not known. */
  readonly made: number | null;
}

function BasicFields({ form, refusals, made, set }: BasicFieldsProps): JSX.Element {
  return (
    <>
      <TextField
        label="Name"
        hint="The name of the file when you take it away."
        refusal={refusals.name}
        value={form.name}
        onChange={(name) => set({ name })}
      />
      <TextField
        label="Size of the disk"
        hint={sizeHint(made)}
        refusal={refusals.size}
        value={form.size}
        onChange={(text) => set({ size: text })}
      />
      <div class="fields">
        <SelectField
          label="Cluster size"
          hint="What is allocated at once: larger is faster, smaller wastes less."
          refusal={refusals.clusterSize}
          value={form.clusterSize}
          choices={CLUSTER_SIZES.map((bytes) => [bytes, formatSize(bytes)])}
          onChange={(clusterSize) => set({ clusterSize })}
        />
        <SelectField<2 | 3>
          label="Version"
          hint="Of the qcow2 format."
          refusal={refusals.version}
          value={form.version}
          choices={VERSIONS}
          onChange={(version) => set({ version })}
        />
      </div>
    </>
  );
}

function sizeHint(made: number | null): string {
  const hint = 'A number and a unit, as in 10G or 512M.';
  return made === null ? hint : `${hint} This makes a disk of ${formatExactSize(made)}.`;
}

/** The creation of an image, from the form to its end. */
interface Creation {
  readonly progress: Signal<Progress | null>;
  readonly busy: Signal<boolean>;
  readonly problem: Signal<Problem | null>;
  start(request: CreateRequest): Promise<void>;
  /** Aborts it if it runs, and closes the dialog. */
  close(): void;
}

function useCreation(onClose: (created: string | null) => void): Creation {
  const progress = useSignal<Progress | null>(null);
  const busy = useSignal(false);
  const problem = useSignal<Problem | null>(null);
  const abort = useRef(new AbortController());
  const start = async ({ name, options }: CreateRequest): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    problem.value = null;
    const { signal } = abort.current;
    const onProgress = (now: Progress): void => {
      progress.value = now;
    };
    try {
      await createImage(name, { ...options, signal, onProgress });
      // Once it is closed, another one may be open.
      if (!signal.aborted) onClose(name);
    } catch (error) {
      if (!signal.aborted) problem.value = describeCreation(error, name);
    } finally {
      busy.value = false;
      progress.value = null;
    }
  };
  const close = (): void => {
    abort.current.abort();
    onClose(null);
  };
  return { progress, busy, problem, start, close };
}

/** The engine's own message for what it refuses, such as a disk too large for its clusters. */
function describeCreation(error: unknown, name: string): Problem {
  if (!(error instanceof TypeError || error instanceof RangeError)) return describe(error, name);
  const advice = 'Change that and create it again.';
  return { title: 'There is no such image.', reason: error.message, advice, details: [['Message', error.message]] };
}

function CreateActions({ creation }: { readonly creation: Creation }): JSX.Element {
  const { busy, progress, problem } = creation;
  const now = progress.value;
  return (
    <>
      {now && <progress aria-label="Creating" value={now.done} max={Math.max(1, now.total)} />}
      <div class="actions">
        <button type="button" class="button plain" onClick={() => creation.close()}>
          Cancel
        </button>
        <button type="submit" class="button primary" aria-disabled={busy.value}>
          {busy.value ? 'Creating…' : problem.value ? 'Try again' : 'Create'}
        </button>
      </div>
    </>
  );
}
