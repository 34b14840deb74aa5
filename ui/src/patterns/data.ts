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

const HOLE = '<_>';

/** The pattern of a line among those of a query's lines; undefined: it is like no others. */
export async function patternOf(line: string, query: string, start: Ns, end: Ns, signal: AbortSignal): Promise<string | undefined> {
  const { patterns } = await getJson<PatternsAnswer>(`${NARFI}/patterns`, { query, start, end, limit: 300, sample_buckets: 1 }, { signal });
  return patterns.map((one) => one.pattern).filter((one) => fits(one, line)).sort((a, b) => constants(b) - constants(a))[0];
}

/** As the line filter `|>` reads it, which has the last word. */
function fits(pattern: string, line: string): boolean {
  const texts = pattern.split(HOLE).map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return pattern.includes(HOLE) ? new RegExp(`^${texts.join('[^]+?')}$`, 'u').test(line) : pattern === line;
}

/** Characters that stand there: of two patterns that fit, the closer one has more. */
function constants(pattern: string): number {
  return pattern.replaceAll(HOLE, '').length;
}
