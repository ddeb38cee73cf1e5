/** Takes OPFS away from the worker that imports it, in the way Firefox does in private windows. */
StorageManager.prototype.getDirectory = () =>
  Promise.reject(new DOMException('Security error when calling GetDirectory', 'SecurityError'));
