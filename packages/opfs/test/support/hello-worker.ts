/** The entry of a worker that sends its name. */
postMessage(self.name);
