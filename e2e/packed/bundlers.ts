/** The bundlers that the packages are tried with: how each builds and serves an application, without configuration. */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import * as esbuild from 'esbuild';
import { rollup } from 'rollup';
import { preview } from 'vite';
import webpack from 'webpack';

/** An entry of the package, named by the folder of the application that imports it. */
export type Entry = 'modular' | 'inline';

/** What a bundler works on. */
export interface Project {
  /** The application of all tests, with the installed packages in it. */
  readonly app: string;
  readonly entry: Entry;
  /** A folder for what is made: no other project's. */
  readonly out: string;
  /** Where the application is served, when that is not where its page is. Only Vite and webpack have it. */
  readonly base?: string;
}

/** A server on localhost. */
export interface Served {
  readonly address: string;
  close(): Promise<void>;
}

/** A bundler under the name that the README of qcow2-opfs calls it by. */
export interface Bundler {
  readonly name: string;
  /** Builds into the folder `out`. */
  build(project: Project): Promise<void>;
  /** Serves the application as the bundler does for development; undefined where it has no such thing. */
  readonly serve?: (project: Project) => Promise<Served>;
}

type Vite = Pick<typeof import('vite'), 'build' | 'createServer'>;

function viteBundler(name: string, load: () => Promise<unknown>): Bundler {
  const options = ({ app, entry, out, base }: Project) => ({
    root: join(app, entry),
    configFile: false as const,
    logLevel: 'silent' as const,
    // What tests that run at the same time must not share.
    cacheDir: `${out}-cache`,
    publicDir: join(app, 'public'),
    ...(base !== undefined && { base }),
    build: { outDir: out, emptyOutDir: true },
  });
  return {
    name,
    build: async (project) => {
      await ((await load()) as Vite).build(options(project));
    },
    serve: async (project) => {
      const server = await ((await load()) as Vite).createServer(options(project));
      await server.listen();
      return served(server);
    },
  };
}

const webpackBundler: Bundler = {
  name: 'webpack 5',
  build: (project) => runWebpack(project, 'production'),
  // What its development server serves is this, from memory.
  serve: async (project) => {
    await runWebpack(project, 'development');
    return serveBuilt(project.out);
  },
};

async function runWebpack(project: Project, mode: 'production' | 'development'): Promise<void> {
  const { app, entry, out, base } = project;
  const output = { path: out, filename: 'main.js', ...(base !== undefined && { publicPath: base }) };
  const compiler = webpack({ mode, context: join(app, entry), entry: './main.js', output });
  await new Promise<void>((resolve, reject) => {
    compiler.run((error, stats) => {
      if (error || stats?.hasErrors()) reject(error ?? new Error(stats?.toString('errors-only')));
      else resolve();
    });
  });
  copyPage(project);
}

const esbuildBundler: Bundler = {
  name: 'esbuild 0.28',
  build: async (project) => {
    await esbuild.build(esbuildOptions(project));
    copyPage(project);
  },
  serve: async (project) => {
    copyPage(project);
    const context = await esbuild.context(esbuildOptions(project));
    const { port } = await context.serve({ servedir: project.out, host: '127.0.0.1' });
    return { address: `http://127.0.0.1:${port}/`, close: () => context.dispose() };
  },
};

function esbuildOptions({ app, entry, out }: Project): esbuild.BuildOptions {
  const entryPoints = [join(app, entry, 'main.js')];
  return { entryPoints, bundle: true, format: 'esm', outfile: join(out, 'main.js'), logLevel: 'silent' };
}

const rollupBundler: Bundler = {
  name: 'Rollup 4',
  build: async (project) => {
    const { app, entry, out } = project;
    const bundle = await rollup({ input: join(app, entry, 'main.js'), plugins: [nodeResolve()] });
    await bundle.write({ dir: out, format: 'es' });
    await bundle.close();
    copyPage(project);
  },
};

/** What bundlers that begin with a script and not with a page leave to do: the page, and what it fetches. */
function copyPage({ app, entry, out }: Project): void {
  mkdirSync(out, { recursive: true });
  cpSync(join(app, entry, 'index.html'), join(out, 'index.html'));
  cpSync(join(app, 'public'), out, { recursive: true });
}

/** Serves a folder, with `headers` at every answer, and for every origin. */
export async function serveBuilt(folder: string, headers: Record<string, string> = {}): Promise<Served> {
  const options = { root: folder, configFile: false as const, logLevel: 'silent' as const, build: { outDir: folder } };
  return served(await preview({ ...options, preview: { headers, cors: true } }));
}

async function served(server: { resolvedUrls: { local: string[] } | null; close(): Promise<void> }): Promise<Served> {
  const address = server.resolvedUrls?.local[0];
  if (address === undefined) throw new Error('The server has no address.');
  return { address, close: () => server.close() };
}

/** Every bundler, in the order of the table in the README of qcow2-opfs. */
export const BUNDLERS: readonly Bundler[] = [
  viteBundler('Vite 8', () => import('vite')),
  viteBundler('Vite 7', () => import('vite7')),
  viteBundler('Vite 6', () => import('vite6')),
  viteBundler('Vite 5', () => import('vite5')),
  webpackBundler,
  esbuildBundler,
  rollupBundler,
];
