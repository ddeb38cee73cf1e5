/** Renders the confirmation before an image is deleted. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { StoredImage } from 'qcow2-opfs';
import { describe, type Problem } from '../engine/problem.js';
import { formatSize } from '../engine/size.js';
import { Modal } from '../ui/modal.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { removeImage } from './store-contents.js';

interface RemoveDialogProps {
  readonly image: StoredImage;
  /** Called when the dialog closes, with whether the image was deleted. */
  readonly onClose: (removed: boolean) => void;
  /** Takes the focus if the button that opened the dialog was removed with the image. */
  readonly onFocusLost: () => void;
}

/** Asks, deletes, and shows why if that fails. */
export function RemoveDialog({
  image: { name, fileSize, info },
  onClose,
  onFocusLost,
}: RemoveDialogProps): JSX.Element {
  const problem = useSignal<Problem | null>(null);
  const busy = useSignal(false);
  const remove = async (): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    problem.value = null;
    try {
      await removeImage(name);
      onClose(true);
    } catch (error) {
      problem.value = describe(error, name);
    } finally {
      busy.value = false;
    }
  };
  const close = (): void => {
    if (!busy.value) onClose(false);
  };
  const disk = info ? `a disk of ${formatSize(info.virtualSize)} in ` : '';
  return (
    <Modal title={`Delete ${name}?`} onClose={close} onFocusLost={onFocusLost}>
      <p>
        It holds {disk}a file of {formatSize(fileSize)}. Deleted images cannot be brought back.
      </p>
      {problem.value && <ProblemNotice problem={problem.value} />}
      <div class="actions">
        <button type="button" class="button plain" onClick={close} aria-disabled={busy.value}>
          Do not delete
        </button>
        <button type="button" class="button danger" onClick={remove} aria-disabled={busy.value}>
          {deleteWords(busy.value, problem.value)}
        </button>
      </div>
    </Modal>
  );
}

function deleteWords(busy: boolean, problem: Problem | null): string {
  if (busy) return 'Deleting…';
  return problem ? 'Try again' : 'Delete it';
}
