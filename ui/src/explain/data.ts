// What a query costs and why, as the server tells it after it ran the query.
import { getJson, NARFI } from '../base/api.ts';
import type { Ns } from '../base/time.ts';
import type { Warning } from '../logs/data.ts';

export interface Explained {
  readonly stages: readonly { readonly name: string; readonly rows: number | null; readonly bytes: number | null; readonly text?: string }[];
  readonly rules: readonly (string | { readonly name: string; readonly text?: string })[];
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
  readonly advice: readonly string[];
  readonly warnings?: readonly Warning[];
}

export const readExplain = (query: string, start: Ns, end: Ns, signal: AbortSignal): Promise<Explained> =>
  getJson(`${NARFI}/explain`, { query, start, end }, { signal });
