/** Explains to the user what failed when an image was fetched from a web server. */
import type { Qcow2Error } from 'qcow2';
import { fileNameAt, parseUrl } from './address.js';

/** The explanation, beside the engine's own message. */
export interface FetchWords {
  readonly title: string;
  readonly advice: string;
}

const COPY = 'Download the image, and drop the copy here.';

/** Explains a failed request; null for an error of another kind. */
export function fetchWords({ code, details }: Qcow2Error): FetchWords | null {
  const { url, status } = details;
  if (typeof url !== 'string') return null;
  const parsed = parseUrl(url);
  const name = parsed ? fileNameAt(parsed) : url;
  switch (code) {
    case 'unsupported':
      return { title: `The server of ${name} does not support range requests.`, advice: COPY };
    case 'not-found':
      return { title: `There is no ${name} at that address.`, advice: 'Check the address for a typing error.' };
    case 'changed':
      return {
        title: `${name} was replaced on its server while it was being read.`,
        advice: 'Open the address again.',
      };
    default:
      if (details.timeout !== undefined) {
        return { title: `The server of ${name} does not respond.`, advice: `Try again later. ${COPY}` };
      }
      return { title: `${name} could not be fetched.`, advice: adviceFor(status) };
  }
}

function adviceFor(status: unknown): string {
  if (status === 401 || status === 403) return `This page sends no password and no cookies. ${COPY}`;
  if (typeof status === 'number') return 'The fault is on the side of the server: try again later.';
  const origin = 'If the image opens in a tab of its own, its server does not allow other pages to read it.';
  return `Check the address for a typing error. ${origin} ${COPY}`;
}
