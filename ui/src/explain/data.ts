// What a query costs and why, as the server tells it after it ran the query.
import { getJson, NARFI } from '../base/api.ts';
import type { Ns } from '../base/time.ts';
import type { Warning } from '../logs/data.ts';

export interface Explained {
  readonly stages: readonly { readonly name: string; readonly rows: number | null; readonly bytes: number | null }[];
  readonly rules: readonly string[];
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
  readonly advice: readonly string[];
  readonly warnings?: readonly Warning[];
  readonly ms: number;
  /** One for each log query that the query is made of. */
  readonly reads: readonly { readonly query: string; readonly plan: readonly string[] }[];
}

/** What the stages of the funnel are called by people. */
export const STAGES: Readonly<Record<string, readonly [name: string, text: string]>> = {
  considered: ['In the range', 'all lines of the tenant in blocks and heads of this time'],
  selected: ['Of matching streams', 'left by labels, times and words that a block cannot hold'],
  read: ['Read', 'rows of which a column or a text was looked at'],
  passed: ['Passed', 'rows that all filters kept'],
  decoded: ['Printed again', 'rows whose text had to be made from columns'],
  returned: ['Returned', 'lines or samples of the answer'],
};

export const RULES: Readonly<Record<string, string>> = {
  'early-stop': 'stops as soon as enough newest lines are found',
  'search-prefix': 'looks for words before it parses',
  'shape-columns': 'reads fields as typed columns, without parsing',
  'unread-metadata': 'leaves structured metadata unread',
};

export const readExplain = (query: string, start: Ns, end: Ns, signal: AbortSignal): Promise<Explained> =>
  getJson(`${NARFI}/explain`, { query, start, end }, { signal });
