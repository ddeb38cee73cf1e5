/**
 * Puts faults into the running engine at seams that have names: its stages, the order of them, its flushes, and methods
 * of its classes. A name that the engine no longer has is an error of types, and an error when the fault is put in.
 */
import { type Flushes, flushes } from '../../src/engine/write/flushes.js';
import { type Stages, stageOrder, stages, type WriteBackContent } from '../../src/engine/write/write-back.js';
import type { WriteState } from '../../src/engine/write/write-state.js';

/** Puts a fault into the engine; returns what takes it out again. */
export type Fault = () => () => void;

/** A stage of a write-back. */
type StageName = (typeof stageOrder)[number];

/**
 * Replaces a function of an object, or a method of a prototype.
 *
 * @throws Error when there is none of that name
 */
export function replaced<T extends object, K extends keyof T>(target: T, name: K, make: (own: T[K]) => T[K]): Fault {
  return () => {
    const own = target[name];
    if (typeof own !== 'function') throw new Error(`The engine has no function "${String(name)}" in this place.`);
    target[name] = make(own);
    return () => {
      target[name] = own;
    };
  };
}

/** Leaves out a flush, always or where `when` says so. */
export function unflushed(name: keyof Flushes, when: (state: WriteState) => boolean = () => true): Fault {
  return replaced(flushes, name, (own) => (state) => (when(state) ? undefined : own(state)));
}

/**
 * Runs the stages of a write-back in another order.
 *
 * @throws Error when these are not its stages, each once
 */
export function reordered(...names: readonly StageName[]): Fault {
  return () => {
    const own = [...stageOrder];
    if ([...names].sort().join() !== [...own].sort().join()) throw new Error(`The stages are ${own.join(', ')}.`);
    stageOrder.splice(0, own.length, ...names);
    return () => {
      stageOrder.splice(0, own.length, ...own);
    };
  };
}

/** Changes what a write-back brings to the medium, for all its stages. */
export function withContent(change: (content: WriteBackContent, state: WriteState) => WriteBackContent): Fault {
  const wrapped = (name: StageName): Fault =>
    replaced<Stages, StageName>(stages, name, (own) => (state, content) => own(state, change(content, state)));
  return together(...stageOrder.map(wrapped));
}

/** Several changes, which are one fault together. */
export function together(...faults: readonly Fault[]): Fault {
  return () => {
    const undo = faults.map((fault) => fault());
    return () => {
      for (const each of undo.reverse()) each();
    };
  };
}
