// All English of the page that is more than one control's label, in one place.
import type { Action } from './keys.ts';

export const NAME = 'Narfi';

export const KEY_TEXTS: readonly { readonly title: string; readonly keys: Partial<Record<Action, string>> }[] = [
  {
    title: 'Ask',
    keys: {
      query: 'query box', findField: 'find a field', range: 'time range', earlier: 'earlier by one range',
      later: 'later by one range', zoomIn: 'zoom in', zoomOut: 'zoom out', live: 'follow live', pause: 'pause',
      download: 'download', copyLink: 'copy a link to this view',
    },
  },
  {
    title: 'Lines',
    keys: {
      next: 'next line', previous: 'line before', pageDown: 'a page on', pageUp: 'a page back', first: 'first line',
      last: 'last line', open: 'open details', close: 'close', context: 'lines around it', copyLine: 'copy the line',
      nextError: 'next error', previousError: 'error before', nextWarning: 'next warning',
      previousWarning: 'warning before',
    },
  },
  {
    title: 'Look',
    keys: {
      search: 'search in these lines', nextHit: 'next hit', previousHit: 'hit before', wrap: 'wrap long lines',
      viewLines: 'as lines', viewTable: 'as a table', viewJson: 'as JSON', only: 'only this value (on a field)',
      not: 'not this value (on a field)', help: 'all keys',
    },
  },
];

export const T = {
  signIn: 'Sign in',
  signInHint: 'This server asks for a token. Whoever runs it makes one with',
  signInPlace: 'narfi_…',
  wrongToken: 'The token was not taken.',
  offline: 'The server does not answer. What is shown may be old.',
  starting: 'The server is starting',
  retryIn: (s: number): string => (s > 0 ? `Trying again in ${s} s` : 'Trying again…'),
  noSuchPage: 'There is no such page.',
  keys: 'Keys',
  keysOn: 'Keys of one letter act',
  close: 'Close',
  copied: 'Copied',
  notCopied: 'The browser did not let the page copy.',
  running: 'Running…',
  stop: 'Stop',
  pageBroke: 'This part of the page broke. The rest goes on.',
} as const;
