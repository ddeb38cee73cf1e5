/** Owns the addresses of images on web servers: as a person types them, and as images name others beside them. */

/** An address that can be fetched, or why it cannot, in a sentence. */
export type TypedAddress = { readonly url: URL } | { readonly refusal: string };

/** Reads what a person typed. Where the scheme is left out, https is meant. */
export function parseAddress(text: string): TypedAddress {
  const typed = text.trim();
  if (typed === '') return { refusal: 'Type the address of an image.' };
  const url = parseUrl(/^[a-z][a-z\d+.-]*:(?!\d)/i.test(typed) ? typed : `https://${typed}`);
  if (url === null) return { refusal: 'That is not an address.' };
  if (!isHttp(url)) return { refusal: `An address begins with https:// or http://, and this one with ${url.protocol}` };
  if (url.username !== '' || url.password !== '') {
    return { refusal: 'Browsers do not fetch from addresses with a name or a password in them.' };
  }
  return { url };
}

/** What the file at an address is called. */
export function fileNameAt(url: URL): string {
  const last = url.pathname.split('/').findLast((part) => part !== '');
  return last === undefined ? url.host : decoded(last);
}

/**
 * The address of a file that the image at `url` names, by a path or an address of its own; null when it is not on the
 * same server, or is the image itself.
 */
export function siblingOf(name: string, url: URL): URL | null {
  // A byte that is no UTF-8 stands in the name as half of a surrogate pair, which no address can have.
  if (/\p{Cs}/u.test(name)) return null;
  const isAddress = /^[a-z][a-z\d+.-]*:/i.test(name);
  const sibling = isAddress ? parseUrl(name) : parseUrl(name.split('/').map(encodeURIComponent).join('/'), url);
  return sibling !== null && sibling.origin === url.origin && sibling.href !== url.href ? sibling : null;
}

/** The address that a link to this page carries behind `#url=`; '' when it carries none. */
export function linkedAddress(hash: string): string {
  return new URLSearchParams(hash.replace(/^#/, '')).get('url') ?? '';
}

function isHttp({ protocol }: URL): boolean {
  return protocol === 'https:' || protocol === 'http:';
}

/** An address, read; null for what is none. `URL.parse` is younger than the browsers that the page is for. */
export function parseUrl(text: string, base?: URL): URL | null {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray percent sign is part of the name
  }
}
