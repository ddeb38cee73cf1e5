/** Repairs of images with several features at once, damaged at random in any structure. */
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bufferDevice } from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';
import { damagedProduct, kinds, otherFile } from './products.js';
import { expectWhatWasLeft, type Files } from './what-was-left.js';

const folder = new QemuFolder('repair-products');
folder.put('base.raw', otherFile);
folder.put('data.raw', otherFile);
const files: Files = { backing: otherFile, data: otherFile };

/** Images of each kind; each costs a run of qemu-img. */
const ROUNDS = Number(process.env.QCOW2_DAMAGES ?? 10);

describe('damage at random', () => {
  test.each(kinds.map((plan, index) => ({ plan, index })))('of kind $index: $plan', async ({ index }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const image = damagedProduct(index, round);
      const device = bufferDevice(image.bytes);
      const where = `kind ${index}, round ${round}`;
      const report = await repairDevice(device, { fix: 'all' });
      expect(report.after.findings, where).toEqual([]);
      folder.put('repaired.qcow2', device.bytes());
      const theirs = qemuChecks(folder.path, 'repaired.qcow2');
      rmSync(folder.at('repaired.qcow2'));
      expect(theirs, where).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
      await expectWhatWasLeft(image.bytes, device.bytes(), report, files, where);
    }
  });
});
