/** Renders one field of a form: its label, its meaning, and why its value is refused. */
import type { JSX, TargetedEvent } from 'preact';
import { useId } from 'preact/hooks';

interface FieldProps {
  readonly label: string;
  /** Its meaning, in a line. */
  readonly hint: string;
  readonly refusal: string | undefined;
}

interface TextFieldProps extends FieldProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** A line of text. */
export function TextField({ label, hint, refusal, value, onChange }: TextFieldProps): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        value={value}
        autocomplete="off"
        spellcheck={false}
        aria-invalid={refusal !== undefined}
        aria-describedby={`${id}-words`}
        onInput={(event: TargetedEvent<HTMLInputElement>) => onChange(event.currentTarget.value)}
      />
      <FieldWords id={id} hint={hint} refusal={refusal} />
    </div>
  );
}

interface SelectFieldProps<Value extends string | number> extends FieldProps {
  readonly value: Value;
  readonly choices: readonly (readonly [value: Value, label: string])[];
  readonly onChange: (value: Value) => void;
}

/** A choice of one. */
export function SelectField<Value extends string | number>(props: SelectFieldProps<Value>): JSX.Element {
  const { label, hint, refusal, value, choices, onChange } = props;
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        aria-invalid={refusal !== undefined}
        aria-describedby={`${id}-words`}
        onChange={(event) => onChange(choices[event.currentTarget.selectedIndex]![0])}
      >
        {choices.map(([choice, words]) => (
          <option key={choice} value={choice} selected={choice === value}>
            {words}
          </option>
        ))}
      </select>
      <FieldWords id={id} hint={hint} refusal={refusal} />
    </div>
  );
}

interface CheckFieldProps extends FieldProps {
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
}

/** Yes or no. */
export function CheckField({ label, hint, refusal, checked, onChange }: CheckFieldProps): JSX.Element {
  const id = useId();
  return (
    <div class="field check">
      <label for={id}>
        <input
          id={id}
          type="checkbox"
          checked={checked}
          aria-invalid={refusal !== undefined}
          aria-describedby={`${id}-words`}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />{' '}
        {label}
      </label>
      <FieldWords id={id} hint={hint} refusal={refusal} />
    </div>
  );
}

function FieldWords({ id, hint, refusal }: { id: string; hint: string; refusal: string | undefined }): JSX.Element {
  return (
    <p id={`${id}-words`} class="soft">
      {refusal !== undefined && <strong class="refusal">{refusal} </strong>}
      {hint}
    </p>
  );
}
