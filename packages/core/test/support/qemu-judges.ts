/**
 * Says at which steps of a long series QEMU judges: starting it is most of what those tests cost. Our own check judges
 * at every step.
 */

/** Whether QEMU judges at step `index`: at one in `every`, or, with `QCOW2_QEMU=all`, at each. */
export function qemuJudges(index: number, every = 8): boolean {
  return process.env.QCOW2_QEMU === 'all' || index % every === 0;
}
