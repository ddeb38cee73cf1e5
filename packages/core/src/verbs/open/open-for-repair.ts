/** Opens an image for repair: whatever its refcounts, snapshot table and bitmaps say. */
import type { BlockDevice } from '../../api/device.js';
import type { Openable } from '../../api/openable.js';
import type { RepairOptions, RepairReport } from '../../api/repair-report.js';
import { CountingSource } from '../../engine/layer/counting-source.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { readHeader } from '../../engine/layer/metadata.js';
import type { WaitTracker } from '../../engine/layer/wait-tracker.js';
import { Qcow2Error } from '../../errors.js';
import { INCOMPATIBLE } from '../../format/header.js';
import { lockForWriting } from '../../sources/written-files.js';
import { openableView } from '../repair/openable-view.js';
import { repairDevice } from '../repair/repair.js';
import { requireRepair } from '../verb-arguments.js';
import type { CacheBudgets } from './open-options.js';
import { deviceOf, type Opening, type Repairing } from './opening.js';
import { readOwnFile } from './own-file.js';

/**
 * Starts opening an image for repair. It is opened as a view, in which what would prevent opening is corrected in
 * memory.
 *
 * @throws TypeError when the image is not a BlockDevice; {@link Qcow2Error} `locked` when another image of this process
 *   writes to it, and when the header or the active L1 table cannot be read; what the device throws.
 */
export async function startRepair(
  image: Openable,
  budgets: CacheBudgets,
  signal: AbortSignal | undefined,
): Promise<Opening> {
  const device = deviceOf(image, 'image');
  const release = lockForWriting(device, 'image');
  try {
    const view = await openableView(device, signal);
    const finish: Opening['finish'] = async (_layer, _dataFile, waitTracker) => {
      return { repair: new DeviceRepair(device, budgets, waitTracker, release) };
    };
    return { lock: null, view, finish, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** Repairs the image on a device. */
class DeviceRepair implements Repairing {
  readonly #device: BlockDevice;
  readonly #budgets: CacheBudgets;
  readonly #waitTracker: WaitTracker;
  readonly #release: () => void;
  #running: Promise<unknown> = Promise.resolve();
  #revision = 0;

  constructor(device: BlockDevice, budgets: CacheBudgets, waitTracker: WaitTracker, release: () => void) {
    this.#device = device;
    this.#budgets = budgets;
    this.#waitTracker = waitTracker;
    this.#release = release;
  }

  get revision(): number {
    return this.#revision;
  }

  async repair(
    layer: Qcow2Layer,
    options: RepairOptions,
    onReread: (layer: Qcow2Layer) => void,
  ): Promise<RepairReport> {
    requireRepair(options);
    const result = this.#running.then(async () => {
      const reread = async () => {
        this.#revision++;
        onReread(await this.#readAgain(layer));
      };
      let report: RepairReport;
      try {
        report = await repairDevice(this.#device, options);
      } catch (error) {
        // The error of the repair matters more than that of reading what it has left.
        await reread().catch(() => {});
        throw error;
      }
      if (!options.dryRun) await reread();
      return report;
    });
    this.#running = result.catch(() => {});
    return result;
  }

  async release(): Promise<void> {
    await this.#running;
    this.#release();
  }

  /** The layer with the tables that are on the medium now. The files that the image references stay open. */
  async #readAgain(layer: Qcow2Layer): Promise<Qcow2Layer> {
    const { counters, depth } = layer;
    const view = await openableView(this.#device, undefined);
    const source = new CountingSource(view, counters, { what: 'image', depth }, this.#waitTracker);
    const { fields } = await readOwnFile(source, this.#budgets, counters, undefined);
    return { ...layer, ...fields, data: layer.data === layer.source ? source : layer.data };
  }
}

/**
 * Repairs an image that is marked dirty, before it is opened for writing, as QEMU does.
 *
 * @throws what {@link repairDevice} throws; {@link Qcow2Error} `needs-repair` when faults are left.
 */
export async function repairIfDirty(
  device: BlockDevice,
  options: Pick<RepairOptions, 'signal' | 'onProgress'>,
): Promise<void> {
  const { header } = await readHeader(device, options.signal);
  const { incompatibleFeatures: marks } = header;
  if (!marks.includes(INCOMPATIBLE.dirty) || marks.includes(INCOMPATIBLE.corrupt)) return;
  const { after } = await repairDevice(device, { ...options, fix: 'all' });
  if (after.corruptions + after.checkErrors === 0) return;
  const message = 'The image is marked dirty, and its repair has left faults.';
  throw new Qcow2Error('needs-repair', message, { what: 'incompatible_features', at: 72, bit: INCOMPATIBLE.dirty });
}
