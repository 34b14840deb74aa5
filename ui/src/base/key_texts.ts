// What each key does, in the order of the sheet.
import type { Action } from './keys.ts';

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
