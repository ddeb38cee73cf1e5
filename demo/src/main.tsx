/** Owns nothing but the start of the page. */
import './styles/tokens.css';
import './styles/page.css';
import './styles/image.css';
import { render } from 'preact';
import { App } from './components/app.js';

render(<App />, document.body);
