// Patterns of lines as the server finds them, and what changed against the range before.
import { getJson, NARFI } from '../base/api.ts';
import type { Ns } from '../base/time.ts';
import type { Warning } from '../logs/data.ts';

export interface Pattern {
  readonly pattern: string;
  readonly count: number;
  readonly share: number;
  readonly first: string | null;
  readonly last: string | null;
  readonly samples: readonly number[];
  readonly example: string | null;
  readonly level: string | null;
  /** A stage that keeps its lines: `|> "…"`. */
  readonly filter: string | null;
  readonly change: 'new' | 'gone' | 'same' | null;
  readonly factor: number | null;
}

export interface PatternsAnswer {
  readonly patterns: readonly Pattern[];
  readonly rows: number;
  readonly warnings: readonly Warning[];
}

export const MOST = 100;

export const readPatterns = (query: string, start: Ns, end: Ns, compares: boolean, signal: AbortSignal): Promise<PatternsAnswer> =>
  getJson(`${NARFI}/patterns`, { query, start, end, limit: MOST, sample_buckets: 40, compare: compares ? 'previous' : undefined }, { signal });
