/** Installs, builds and serves the demo page, from a clone with only Node and npm: `npm start`. */
import { install } from './pnpm.js';
import { endOnSignals, root, run } from './run.js';

/** @type {(() => Promise<void>) | undefined} */
let stop;

endOnSignals(() => stop?.());
try {
  await install();
  await run(process.execPath, ['scripts/build.js']);
  await serve();
} catch (error) {
  console.error(/** @type {Error} */ (error).message);
  process.exitCode = 1;
}

/** Serves the built page from this process: a child of a shell would keep running when npm is stopped. */
async function serve() {
  const { preview } = await import('vite'); // installed only now
  const server = await preview({ root: `${root}demo`, preview: { host: 'localhost' } });
  stop = () => server.close();
  console.log(`\nThe demo page is at ${server.resolvedUrls?.local[0]}\nCtrl+C ends it.`);
}
