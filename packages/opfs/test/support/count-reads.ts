/** Counts the reads of files in the worker that imports it, and reports them on the BroadcastChannel `reads`. */
const counts = { getFile: 0, read: 0, bytes: 0 };
const channel = new BroadcastChannel('reads');
channel.onmessage = () => {
  channel.postMessage({ ...counts });
  Object.assign(counts, { getFile: 0, read: 0, bytes: 0 });
};

const { getFile } = FileSystemFileHandle.prototype;
FileSystemFileHandle.prototype.getFile = function (this: FileSystemFileHandle): Promise<File> {
  counts.getFile++;
  return getFile.call(this);
};
const { arrayBuffer } = Blob.prototype;
Blob.prototype.arrayBuffer = function (this: Blob): Promise<ArrayBuffer> {
  counts.read++;
  counts.bytes += this.size;
  return arrayBuffer.call(this);
};
