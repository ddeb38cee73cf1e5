/** Wrong values for arguments and options, by what they must be, and how a refusal is recognised. */

/** A class of errors for a caller's mistake. */
export type Refusal = typeof TypeError | typeof RangeError;

/** A call with one wrong argument: `name` must be in the message of the error. */
export interface WrongCall<Target> {
  readonly method: string;
  readonly name: string;
  readonly value: unknown;
  readonly refusal: Refusal;
  readonly call: (target: Target) => unknown;
}

/** Values that are never right: for each kind of argument, those of other kinds. */
const WRONG = {
  boolean: ['no', 1, null, {}, 5n],
  function: ['f', 5, null, {}, Symbol('f')],
  signal: ['abort', true, null, {}, { aborted: false }],
  string: [1, null, undefined, {}, Symbol('name'), 5n],
  object: ['text', 5, true, null, [1], () => {}],
  size: [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '0', null, 5n, {}, Object.create(null)],
  bytes: ['text', 5n, null, undefined, [1], {}, new ArrayBuffer(8)],
  batch: ['text', 5, null, undefined, {}],
} as const;

/** A kind of argument of {@link WRONG}. */
export type ArgumentKind = keyof typeof WRONG;

/** The calls of `method` with every wrong value of a kind for `name`; `call` gets the value. */
export function wrongCalls<Target>(
  method: string,
  name: string,
  kind: ArgumentKind,
  call: (target: Target, value: never) => unknown,
): WrongCall<Target>[] {
  const refusal = kind === 'size' ? RangeError : TypeError;
  return WRONG[kind].map((value) => ({ method, name, value, refusal, call: (target) => call(target, value as never) }));
}

/** The kinds of options that methods share. */
const SHARED_OPTIONS = {
  signal: 'signal',
  onProgress: 'function',
  onLost: 'function',
  resolve: 'function',
  salvage: 'boolean',
  verify: 'boolean',
  repairDirty: 'boolean',
  deep: 'boolean',
  names: 'boolean',
  dryRun: 'boolean',
  unmap: 'boolean',
  detectZeroes: 'boolean',
  shrink: 'boolean',
  cache: 'object',
} as const satisfies Record<string, ArgumentKind>;

/** An option of {@link SHARED_OPTIONS}. */
export type SharedOption = keyof typeof SHARED_OPTIONS;

/** The calls of `method` with options that are none, and with a wrong value for each of `names`. */
export function wrongOptions<Target>(
  method: string,
  names: readonly SharedOption[],
  call: (target: Target, options: never) => unknown,
  others: object = {},
): WrongCall<Target>[] {
  return [
    ...wrongCalls(method, 'options', 'object', call),
    ...names.flatMap((name) =>
      wrongCalls<Target>(method, name, SHARED_OPTIONS[name], (target, value) =>
        call(target, { ...others, [name]: value } as never),
      ),
    ),
  ];
}

/** What a call throws, rejects with, or errors its stream or iterator with; undefined when it does neither. */
export async function refusalOf(call: () => unknown): Promise<unknown> {
  try {
    const result: unknown = await call();
    if (isIterator(result)) await result.next();
    if (result instanceof ReadableStream) await result.getReader().read();
    return undefined;
  } catch (error) {
    return error;
  }
}

function isIterator(value: unknown): value is AsyncIterator<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'next' in value;
}

/** A value as the name of a test has it. */
export function wordsFor(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  return typeof value === 'object' && value !== null ? `${JSON.stringify(value)}` : String(value);
}
