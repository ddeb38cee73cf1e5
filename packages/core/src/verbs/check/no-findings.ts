/** Findings that are not collected, where what is wrong with an image does not matter or is known. */
import { Findings } from './findings.js';

/** Ignores what is found. */
export class NoFindings extends Findings {
  override add(): void {}
  override addShared(): void {}
}
