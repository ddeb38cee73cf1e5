/** Owns the snapshots of the open image: each one's disk, opened when it is first needed, and its download. */
import type { SnapshotInfo } from 'qcow2';
import type { WorkerImage } from 'qcow2-opfs';
import { Download } from '../download/download.js';
import { snapshotOf } from '../download/download-source.js';
import { noticeError } from '../engine/engine.js';

/** A snapshot of the open image. Its disk stays open, once it is, until `close`. */
export class SnapshotDisk {
  /** What the page calls it. */
  readonly name: string;
  readonly info: SnapshotInfo;
  /** Size of its disk, bytes: that of the image where an old snapshot does not say. */
  readonly size: number;
  readonly download: Download;
  readonly #image: WorkerImage;
  #disk: Promise<WorkerImage> | null = null;

  /** Of an open image from a file of that name. */
  constructor(info: SnapshotInfo, image: WorkerImage, imageName: string) {
    this.info = info;
    this.name = info.name || `Snapshot ${info.id}`;
    const size = info.diskSize ?? image.size;
    this.size = size - (size % 512); // whole sectors, as the engine has it
    this.#image = image;
    this.download = new Download(snapshotOf(() => this.open(), this.size, this.name, imageName));
  }

  /** Its disk. Throws what opening it throws, and tries anew the next time. */
  open(): Promise<WorkerImage> {
    const opening = this.#disk ?? this.#image.openSnapshot(this.info.id);
    this.#disk = opening;
    opening.catch(() => {
      if (this.#disk === opening) this.#disk = null;
    });
    return opening;
  }
  /** Stops its download and lets go of its disk. */
  close(): void {
    this.download.cancel();
    this.#disk?.then((disk) => disk.close()).catch(noticeError);
  }
}
