/** The steps of a repair whose order matters, by name. The tests of power cuts alone replace them. */
import { clearMarks, markUnderRepair } from './header-sector.js';
import { lowerRefcounts, raiseRefcounts } from './repair-refcounts.js';

/** Steps that a crash may come between. */
export const repairSteps: {
  markUnderRepair: typeof markUnderRepair;
  raiseRefcounts: typeof raiseRefcounts;
  lowerRefcounts: typeof lowerRefcounts;
  clearMarks: typeof clearMarks;
} = { markUnderRepair, raiseRefcounts, lowerRefcounts, clearMarks };
