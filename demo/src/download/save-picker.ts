/** Types the part of the file picker that the page uses, which TypeScript's DOM library does not declare. */

/** Options of `showSaveFilePicker`. */
interface SavePickerOptions {
  suggestedName?: string;
  types?: { description: string; accept: Record<string, string[]> }[];
}

/** `window.showSaveFilePicker`, where the browser has it. */
export type SavePicker = (options: SavePickerOptions) => Promise<FileSystemFileHandle>;

/** The picker of this browser; null where there is none. It must be called from a click. */
export function savePicker(): SavePicker | null {
  const { showSaveFilePicker } = window as { showSaveFilePicker?: SavePicker };
  return showSaveFilePicker ? (options) => showSaveFilePicker.call(window, options) : null;
}
