/** The snapshots of the open image: opens the disk of each when it is first needed, and downloads it. */
import type { SnapshotInfo } from 'qcow2';
import type { WorkerImage } from 'qcow2-opfs';
import { Download } from '../download/download.js';
import { snapshotOf } from '../download/download-source.js';
import { checkWorker } from '../engine/engine.js';

/** A snapshot of the open image. Its disk, once open, stays open until `close`. */
export class SnapshotDisk {
  /** Its label on the page. */
  readonly name: string;
  readonly info: SnapshotInfo;
  /** Size of its disk, bytes: that of the image where an old snapshot does not contain one. */
  readonly size: number;
  readonly download: Download;
  readonly #image: WorkerImage;
  #disk: Promise<WorkerImage> | null = null;

  /** `imageName` is the name of the open image's file. */
  constructor(info: SnapshotInfo, image: WorkerImage, imageName: string) {
    this.info = info;
    this.name = info.name || `Snapshot ${info.id}`;
    const size = info.diskSize ?? image.size;
    this.size = size - (size % 512); // whole sectors, as in the engine
    this.#image = image;
    this.download = new Download(snapshotOf(() => this.open(), this.size, this.name, imageName));
  }

  /** Opens its disk once. Throws what opening it throws, and tries again the next time. */
  open(): Promise<WorkerImage> {
    const opening = this.#disk ?? this.#image.openSnapshot({ id: this.info.id });
    this.#disk = opening;
    opening.catch(() => {
      if (this.#disk === opening) this.#disk = null;
    });
    return opening;
  }
  /** Stops its download and closes its disk. */
  close(): void {
    this.download.cancel();
    this.#disk?.then((disk) => disk.close()).catch(checkWorker);
  }
}
