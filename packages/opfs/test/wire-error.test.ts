/** The transport of errors: class, name, code, message, details and cause survive structured cloning. */
import { isQcow2Error, Qcow2Error } from 'qcow2';
import { describe, expect, test } from 'vitest';
import { fromWireError, KeptError, toWireError } from '../src/protocol/wire-error.js';

/** Across and back, through the real structured clone. */
function cross(thrown: unknown): Error {
  return fromWireError(structuredClone(toWireError(thrown))) as Error;
}

describe('an error sent between page and worker', () => {
  test('is a Qcow2Error again, with code and details', () => {
    const error = cross(
      new Qcow2Error('corrupt', 'L2 table 7 is outside the file', { what: 'L2 table 7', at: 0x50000 }),
    );
    expect(error).toBeInstanceOf(Qcow2Error);
    expect(isQcow2Error(error, 'corrupt')).toBe(true);
    expect(error.message).toBe('L2 table 7 is outside the file');
    expect((error as Qcow2Error).details).toEqual({ what: 'L2 table 7', at: 0x50000 });
  });

  test.each([
    ['TypeError', new TypeError('not a buffer'), TypeError],
    ['RangeError', new RangeError('negative offset'), RangeError],
    ['NotReadableError', new DOMException('gone', 'NotReadableError'), DOMException],
    ['SyntaxError', new SyntaxError('odd'), Error],
  ])('keeps class, name and message of a %s', (name, thrown, errorClass) => {
    const error = cross(thrown);
    expect(error).toBeInstanceOf(errorClass);
    expect(error.name).toBe(name);
    expect(error.message).toBe(thrown.message);
  });

  test('keeps the stack of where it was thrown', () => {
    const thrown = new TypeError('here');
    expect(cross(thrown).stack).toBe(thrown.stack);
  });

  test('keeps its causes', () => {
    const root = new DOMException('disk gone', 'NotReadableError');
    const error = cross(new Qcow2Error('io', 'cannot read', {}, { cause: root }));
    expect(error.cause).toBeInstanceOf(DOMException);
    expect(error.cause).toMatchObject({ name: 'NotReadableError', message: 'disk gone' });
  });

  test('ends a cycle of causes', () => {
    const error = new Error('a');
    error.cause = error;
    expect(cross(error).message).toBe('a');
  });

  test('that is not an Error becomes one', () => {
    expect(cross('plain words')).toMatchObject({ name: 'Error', message: 'plain words' });
  });

  test('and that the page kept is the same object again', () => {
    const mine = { not: 'even an error' };
    const wire = structuredClone(toWireError(new KeptError(5, 'kept')));
    expect(fromWireError(wire, (key) => (key === 5 ? mine : null))).toBe(mine);
  });
});
