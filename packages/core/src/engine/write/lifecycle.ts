/** The state of an image that is open for writing: unchanged, changed, or failed. */
import { Qcow2Error } from '../../errors.js';

/** Why every request is refused. */
interface Failure {
  /** The first error: later ones follow from it. */
  readonly cause: unknown;
  /** The metadata contradict themselves, so the image must be marked corrupt. Otherwise a device has failed. */
  readonly inconsistent: boolean;
}

/** The one state of a written image. Devices, the metadata and the writer report to it. */
export class Lifecycle {
  #changed = false;
  #failure: Failure | null = null;
  /** True once a flush has rejected because of the failure. Then closing does not throw it again. */
  #reported = false;

  /** True once the first change was announced on the medium. */
  get changed(): boolean {
    return this.#changed;
  }

  /** True once something failed: every later request is refused, and nothing more is written back. */
  get failed(): boolean {
    return this.#failure !== null;
  }

  /** True if the image has to be marked corrupt. */
  get inconsistent(): boolean {
    return this.#failure?.inconsistent ?? false;
  }

  /** Records that the first change was announced on the medium. */
  announced(): void {
    this.#changed = true;
  }

  /** Records that a write or a flush of a device failed: what the medium contains is unknown from then on. */
  deviceFailed(cause: unknown): void {
    this.#failure ??= { cause, inconsistent: false };
  }

  /** Records that the metadata contradict themselves. */
  foundInconsistent(cause: unknown): void {
    this.#failure ??= { cause, inconsistent: true };
  }

  /**
   * Throws if something failed before.
   *
   * @throws {@link Qcow2Error} `failed`.
   */
  requireSound(): void {
    if (this.#failure === null) return;
    const message = 'A write failed before. What was flushed is safe; open the image again to go on.';
    throw new Qcow2Error('failed', message, {}, { cause: this.#failure.cause });
  }

  /** Records that a flush rejects: if something failed, the failure counts as reported from then on. */
  reportToFlush(): void {
    this.#reported ||= this.failed;
  }

  /**
   * Throws the failure when the image is closed, unless a flush has rejected because of it.
   *
   * @throws the first error.
   */
  throwUnreported(): void {
    if (this.#failure !== null && !this.#reported) throw this.#failure.cause;
  }
}
