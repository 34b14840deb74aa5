// A metric query's answer as columns of numbers: times once, and a column for each series.
import { getJson, LOKI } from '../base/api.ts';
import type { Ns } from '../base/time.ts';

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Beside `Result.times`; null where the series has no point. */
  readonly values: readonly (number | null)[];
}

export interface Result {
  readonly times: readonly number[]; // s
  readonly series: readonly Series[];
  /** How many there are; `series` holds at most `MOST_SERIES`. */
  readonly total: number;
  readonly stepS: number;
  readonly warnings: readonly string[];
}

interface Raw {
  readonly warnings?: readonly string[];
  readonly data: {
    readonly resultType: string;
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly values?: readonly [number, string][];
    }[];
  };
}

export const MOST_SERIES = 500;
const POINTS = 240;

/** A step that gives about 240 points, of whole seconds. */
export function stepOf(start: Ns, end: Ns): number {
  return Math.max(1, Math.ceil(Number((end - start) / 1_000_000n) / 1000 / POINTS));
}

export async function readMetric(query: string, start: Ns, end: Ns, signal: AbortSignal): Promise<Result> {
  const stepS = stepOf(start, end);
  const raw = await getJson<Raw>(`${LOKI}/query_range`, { query, start, end, step: stepS }, { signal });
  if (raw.data.resultType !== 'matrix') return { times: [], series: [], total: -1, stepS, warnings: raw.warnings ?? [] };
  const times = [...new Set(raw.data.result.flatMap((one) => (one.values ?? []).map(([time]) => time)))].sort((a, b) => a - b);
  const places = new Map(times.map((time, at) => [time, at]));
  const all = raw.data.result.map((one) => {
    const values: (number | null)[] = new Array<number | null>(times.length).fill(null);
    for (const [time, value] of one.values ?? []) values[places.get(time)!] = Number(value);
    return { name: nameOf(one.metric), labels: one.metric, values };
  });
  const sized = all.map((one) => ({ one, size: one.values.reduce<number>((sum, value) => sum + Math.abs(value ?? 0), 0) }));
  sized.sort((a, b) => b.size - a.size || (a.one.name < b.one.name ? -1 : 1));
  return {
    times, series: sized.slice(0, MOST_SERIES).map(({ one }) => one), total: all.length, stepS,
    warnings: raw.warnings ?? [],
  };
}

function nameOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return pairs.length ? pairs.join(' ') : 'all';
}

/** Of the points that are there. */
export function summary(values: readonly (number | null)[]): { last: number | null; min: number; max: number; mean: number } {
  const found = values.filter((value): value is number => value !== null && Number.isFinite(value));
  if (!found.length) return { last: null, min: NaN, max: NaN, mean: NaN };
  return {
    last: found.at(-1)!,
    min: found.reduce((a, b) => Math.min(a, b)),
    max: found.reduce((a, b) => Math.max(a, b)),
    mean: found.reduce((a, b) => a + b, 0) / found.length,
  };
}
