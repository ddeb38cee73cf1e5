/** The faults of the library that this one continues, as far as writing is concerned, and the test that finds each. */

/** A fault, and a test that fails where it is. */
export interface Guard {
  readonly fault: string;
  /** The file of the test, or the one with the row of a parametrised test. */
  readonly test: string;
  /** The title of the test or of the row, or a part of it. */
  readonly name: string;
}

const CORE = 'packages/core/test';
const COMPACTION = `${CORE}/seed/compaction.test.ts`;
const KINDS = `${CORE}/compact/kinds.test.ts`;
const MUTANTS = `${CORE}/crash/compaction-mutants.ts`;
const RESIZING = `${CORE}/seed/resizing.test.ts`;
const VERSUS_QEMU = `${CORE}/resize/versus-qemu.test.ts`;
const WRITING = `${CORE}/seed/writing.test.ts`;

/** By fault. The mutants are faults of the engine that the power cuts find. */
export const GUARDS: readonly Guard[] = [
  { fault: 'a zero-flag cluster reads as the header', test: WRITING, name: 'reads a cluster with the zero flag' },
  { fault: 'an allocated zero cluster reads old data', test: WRITING, name: 'reads an allocated zero cluster' },
  { fault: 'an allocated zero cluster reads old data once it has moved', test: COMPACTION, name: 'that read as zeros' },
  { fault: 'compact destroys snapshots', test: COMPACTION, name: 'keeps snapshots, which share clusters' },
  { fault: 'compact destroys snapshots that are read meanwhile', test: KINDS, name: 'leaves it whole while it is in' },
  { fault: 'the backing file is ignored, and its name lost, by writes', test: WRITING, name: 'the backing file' },
  {
    fault: 'the backing file is ignored, and its name lost, on resize',
    test: RESIZING,
    name: 'keeps its backing file',
  },
  { fault: 'the backing file is ignored, and its name lost, by compact', test: COMPACTION, name: 'a backing file' },
  { fault: 'refcounts are wrong after compaction', test: KINDS, name: 'leaves it as short as it can be' },
  {
    fault: 'a refcount is too low after compaction',
    test: MUTANTS,
    name: 'the copy of a shared cluster is counted once',
  },
  {
    fault: 'leaks remain after compaction',
    test: `${CORE}/compact/leaks.test.ts`,
    name: 'an image with leaks',
  },
  { fault: 'the corrupt bit is ignored', test: WRITING, name: 'refuses to write an image that is marked corrupt' },
  { fault: 'encryption is ignored', test: `${CORE}/compact/leaks.test.ts`, name: 'encrypted with LUKS' },
  { fault: 'shrinking and growing shows old data', test: RESIZING, name: 'what comes back is zeros' },
  { fault: 'shrinking and growing shows old data in QEMU', test: VERSUS_QEMU, name: 'hides the bytes that were cut' },
  { fault: 'opening for read changes the file', test: WRITING, name: 'does not change the file by opening' },
  { fault: 'a freed cluster is reused before the entry is flushed', test: WRITING, name: 'does not reuse a cluster' },
  { fault: "a moved cluster's source is reused before the pointer is flushed", test: MUTANTS, name: 'is free before' },
  { fault: 'the pointer to a copy is flushed before the copy', test: MUTANTS, name: 'words lead to copies' },
  { fault: 'the end is cut before the last move is flushed', test: MUTANTS, name: 'the end is cut before' },
];
