/** Takes `move` away from the worker that imports it, as in browsers that do not have it. */
Reflect.deleteProperty(FileSystemHandle.prototype, 'move');
Reflect.deleteProperty(FileSystemFileHandle.prototype, 'move');
