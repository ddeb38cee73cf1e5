/** Owns what the tests do with OPFS on the page's side. */

/** The names in the folder that the package keeps its files in. */
export async function packageFiles(): Promise<string[]> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('qcow2', { create: true });
  const names: string[] = [];
  for await (const name of folder.keys()) names.push(name);
  return names.sort();
}

/** Puts a file into that folder. */
export async function leaveFile(name: string, content: string | ArrayBuffer): Promise<void> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('qcow2', { create: true });
  const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
  await writable.write(content);
  await writable.close();
}

/** A new file in OPFS, outside that folder, that holds `content`. */
export async function targetFile(content = ''): Promise<FileSystemFileHandle> {
  const root = await navigator.storage.getDirectory();
  const handle = await root.getFileHandle(`target-${crypto.randomUUID()}`, { create: true });
  if (content) {
    const writable = await handle.createWritable();
    await writable.write(content);
    await writable.close();
  }
  return handle;
}

/** Deletes everything in OPFS: a persistent profile keeps it from one run to the next. */
export async function clearStorage(): Promise<void> {
  const root = await navigator.storage.getDirectory();
  const names: string[] = [];
  for await (const name of root.keys()) names.push(name);
  for (const name of names) await root.removeEntry(name, { recursive: true });
}

/** The bytes of a Blob. */
export async function bytesOf(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await blob.arrayBuffer());
}

/** Compares without printing megabytes when it fails: the first difference, or -1. */
export function firstDifference(actual: Uint8Array, expected: Uint8Array): number {
  const length = Math.max(actual.length, expected.length);
  for (let i = 0; i < length; i++) if (actual[i] !== expected[i]) return i;
  return -1;
}
