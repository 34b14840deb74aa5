// What a query costs and why, as the server tells it after it ran the query.
import { getJson, NARFI } from '../base/api.ts';
import type { Ns } from '../base/time.ts';
import type { Warning } from '../logs/data.ts';

export interface Explained {
  readonly stages: readonly { readonly name: string; readonly rows: number | null; readonly bytes: number | null; readonly text: string }[];
  readonly rules: readonly { readonly name: string; readonly text: string }[];
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
  readonly advice: readonly string[];
  readonly warnings?: readonly Warning[];
  readonly ms: number;
  /** One for each log query that the query is made of. */
  readonly reads: readonly { readonly query: string; readonly plan: readonly string[] }[];
}

/** Short names of the stages; the server tells what each of them is. */
export const STAGE_NAMES: Readonly<Record<string, string>> = {
  considered: 'In the range', selected: 'Of matching streams', read: 'Read', passed: 'Passed', decoded: 'Printed again',
  returned: 'Returned',
};

export const readExplain = (query: string, start: Ns, end: Ns, signal: AbortSignal): Promise<Explained> =>
  getJson(`${NARFI}/explain`, { query, start, end }, { signal });
