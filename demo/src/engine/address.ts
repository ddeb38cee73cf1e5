/** Parses URLs of images on web servers: typed by the user, or derived from the names in an image. */

/** A URL that can be fetched, or a sentence that explains why it cannot. */
export type TypedAddress = { readonly url: URL } | { readonly refusal: string };

/** Parses what the user typed. The default scheme is https. */
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

/** The file name in a URL. */
export function fileNameAt(url: URL): string {
  const last = url.pathname.split('/').findLast((part) => part !== '');
  return last === undefined ? url.host : decoded(last);
}

/**
 * The URL of a file that the image at `url` names by a path or a URL; null when it is on another server, or is the
 * image itself.
 */
export function siblingOf(name: string, url: URL): URL | null {
  // Invalid UTF-8 appears in the name as a lone surrogate, which no URL can contain.
  if (/\p{Cs}/u.test(name)) return null;
  const isAddress = /^[a-z][a-z\d+.-]*:/i.test(name);
  const sibling = isAddress ? parseUrl(name) : parseUrl(name.split('/').map(encodeURIComponent).join('/'), url);
  return sibling !== null && sibling.origin === url.origin && sibling.href !== url.href ? sibling : null;
}

/** The URL in a link to this page, after `#url=`; '' when there is none. */
export function linkedAddress(hash: string): string {
  return new URLSearchParams(hash.replace(/^#/, '')).get('url') ?? '';
}

function isHttp({ protocol }: URL): boolean {
  return protocol === 'https:' || protocol === 'http:';
}

/** Parses a URL; null if it is invalid. `URL.parse` is newer than the supported browsers. */
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
