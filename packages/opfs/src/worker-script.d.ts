/** The worker with all that it imports, as the text of one classic script: made by scripts/worker-script.js. */
export declare const workerScript: string;
