/** Makes the whole window accept dropped files, and shows that it does. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';

const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;

interface DropTargetProps {
  readonly onFiles: (files: File[]) => void;
  /** Called with the name of a folder when no file was dropped. */
  readonly onFolder: (name: string) => void;
}

/** Sorts what was dropped by kind: a folder arrives as a file that cannot be read. */
function sort(data: DataTransfer): { files: File[]; folders: File[] } {
  const files: File[] = [];
  const folders: File[] = [];
  for (const item of data.items) {
    const file = item.getAsFile();
    if (file) (item.webkitGetAsEntry()?.isDirectory ? folders : files).push(file);
  }
  return { files, folders };
}

/** True while a dialog is open: opening a file would remove it, and what was typed into it. */
const isBlocked = (): boolean => document.querySelector('dialog[open]') !== null;

/**
 * Accepts files dropped anywhere on the window, unless a dialog is open. Renders nothing until files are dragged over
 * it.
 */
export function DropTarget({ onFiles, onFolder }: DropTargetProps): JSX.Element | null {
  const over = useSignal(false);
  useEffect(() => {
    const abort = new AbortController();
    const listen = (type: 'dragenter' | 'dragover' | 'dragleave' | 'drop', act: (event: DragEvent) => void): void => {
      window.addEventListener(type, (event) => hasFiles(event) && act(event), { signal: abort.signal });
    };
    const isOver = (event: DragEvent): void => {
      event.preventDefault(); // else the browser would open the file in place of the page
      if (event.dataTransfer) event.dataTransfer.dropEffect = isBlocked() ? 'none' : 'copy';
      over.value = !isBlocked();
    };
    listen('dragenter', isOver);
    listen('dragover', isOver);
    listen('dragleave', (event) => {
      // Between two elements of the page there is a related target; at the window's edge there is none.
      if (event.relatedTarget === null) over.value = false;
    });
    listen('drop', (event) => {
      event.preventDefault();
      over.value = false;
      if (event.dataTransfer === null || isBlocked()) return;
      const { files, folders } = sort(event.dataTransfer);
      if (files.length > 0) onFiles(files);
      else if (folders[0] !== undefined) onFolder(folders[0].name);
    });
    return () => abort.abort();
  }, [onFiles, onFolder]);
  if (!over.value) return null;
  return (
    <div class="drop-over" aria-hidden="true">
      <p>Drop to look inside</p>
    </div>
  );
}
