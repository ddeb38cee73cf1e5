/** Starts the page. */
import './styles/tokens.css';
import './styles/page.css';
import './styles/welcome.css';
import './styles/image.css';
import './styles/tables.css';
import './styles/store.css';
import { render } from 'preact';
import { App } from './app/app.js';
import { InsecurePage } from './app/insecure-page.js';
import { engine } from './engine/engine.js';
import { guardDoublePresses } from './ui/double-press.js';

guardDoublePresses(document);
document.body.replaceChildren(); // removes the content of index.html for pages without scripts
if (isSecureContext) {
  render(<App />, document.body);
  // Starts the worker early. If that fails, opening the first file tries again and reports the error.
  engine().catch(() => undefined);
} else {
  render(<InsecurePage />, document.body);
}
