/** The messages between a test and the tests' web server: how to serve a file, and which requests arrived. JSON. */

/** What goes wrong with one answer. */
export type Fault =
  /** Nothing: the answer is as it should be. */
  | { kind: 'none' }
  /** An error instead of the bytes. */
  | { kind: 'status'; status: number; retryAfter?: string }
  /** The connection is cut after so many bytes of the body. */
  | { kind: 'drop'; after: number }
  /** The body ends after so many bytes, and Content-Length says the same. */
  | { kind: 'short'; length: number }
  /** So many bytes too many. */
  | { kind: 'long'; extra: number }
  /** Another Content-Range, or none for ''. */
  | { kind: 'content-range'; value: string }
  /** The whole file, with status 200. */
  | { kind: 'whole' }
  /** A pause before each 64 KiB of the body, ms. */
  | { kind: 'slow'; pause: number }
  /** The headers and half of the body, and then nothing. */
  | { kind: 'stall' }
  /** Not even headers. */
  | { kind: 'silence' }
  /** The range under another encoding. */
  | { kind: 'encoding'; value: string }
  /** The range, compressed by gzip and said to be. */
  | { kind: 'gzip' };

/** How a file is served. */
export interface FilePlan {
  /** Default true; without ranges every answer is the whole file. */
  ranges?: boolean;
  /** The id of a file whose bytes this one has too. */
  like?: string;
  /** So many zeros instead of what was put there, bytes. */
  zeros?: number;
  etag?: string;
  /** Another tag, or another date, with every answer. */
  changingValidator?: 'etag' | 'last-modified';
  /** The most bytes of one answer. */
  maxBytes?: number;
  /**
   * What a range past the end of the file brings: the part that is there (the default), the whole file, or 416 with or
   * without the size.
   */
  pastEnd?: 'part' | 'whole' | '416' | '416 without size';
  lastModified?: string;
  /** To other origins: not at all, without the headers that must be exposed, or with them. Default `'exposed'`. */
  cors?: 'none' | 'hidden' | 'exposed';
  /** Before each answer, ms. */
  delay?: number;
  /** The first answers, one after the other. */
  faults?: Fault[];
}

/** One request for a file, as the server saw it. */
export interface Seen {
  method: string;
  /** `0-65535`; null without a Range header. */
  range: string | null;
  headers: Record<string, string>;
  status: number;
  /** Bytes of the body that were handed to the connection. */
  sent: number;
  /** The reader went away before the answer was complete. */
  left: boolean;
}
