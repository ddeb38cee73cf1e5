/** Owns the start of the page. */
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
document.body.replaceChildren(); // what index.html says as long as no script runs
if (isSecureContext) {
  render(<App />, document.body);
  // The worker starts while the person reads. If it cannot, opening the first file tries again and says so.
  engine().catch(() => undefined);
} else {
  render(<InsecurePage />, document.body);
}
