/** The configuration of the demo page: `vite demo`, `vite build demo`, `vite preview demo`. */
import { defineConfig } from 'vite';
import { shared } from '../vite.shared.js';

export default defineConfig({
  ...shared,
  base: './', // the built page works in any folder of any server
  build: { target: ['chrome108', 'firefox114', 'safari16.4'], emptyOutDir: true },
});
