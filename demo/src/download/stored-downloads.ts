/** Keeps the downloads of stored images, which continue while the page shows something else. */
import type { StoredImage } from 'qcow2-opfs';
import { Download } from './download.js';
import { storedImage } from './download-source.js';

const downloads = new Map<string, Download>();

/** The download of a stored image in a form: the existing one, or a new one if the image has changed since. */
export function storedDownload(image: StoredImage, format: 'raw' | 'qcow2'): Download {
  const key = `${format} ${image.name}`;
  const old = downloads.get(key);
  const source = storedImage(image, format);
  if (old && (old.total === source.size || old.busy)) return old;
  const download = new Download(source);
  downloads.set(key, download);
  return download;
}
