// What the Logs page asks of the server, as types and one function a question.
import { getJson, getLines, LOKI, NARFI, type Params } from '../base/api.ts';
import type { Ns } from '../base/time.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Stream {
  readonly labels: Labels;
  /** As LogQL writes it: `{app="api"}`. */
  readonly text: string;
}

export interface Entry {
  readonly ts: Ns;
  readonly line: string;
  readonly stream: Stream;
  readonly meta: Labels;
  readonly parsed: Labels;
  /** How many entries of the same stream and time are before it. */
  readonly order: number;
  /** Of the whole line, where it was cut. */
  readonly length: number | null;
}

export interface Warning {
  readonly text: string;
  readonly start: string | null;
  readonly end: string | null;
  readonly rows: number | null;
}

export interface Progress {
  readonly read_rows: number;
  readonly read_bytes: number;
  readonly of_rows: number;
  readonly of_bytes: number;
  readonly ms: number;
}

export interface Stats {
  readonly [name: string]: unknown;
}

type RawMeta = Labels | { readonly m?: Labels; readonly p?: Labels } | null;
type RawEntry = [stream: number, ts: string, line: string, meta: RawMeta, order: number, length: number | null];

export interface LinesMessage {
  readonly stream?: number;
  readonly labels?: Labels;
  readonly entries?: readonly RawEntry[];
  readonly progress?: Progress;
  readonly warning?: Warning;
  readonly end?: { readonly cursor: string | null; readonly complete: boolean; readonly rows: number; readonly stats: Stats };
  readonly error?: { readonly status: number; readonly text: string };
}

export interface Ask {
  readonly query: string;
  readonly start: Ns;
  readonly end: Ns;
}

export const MAX_LINE = 2_000;
/** Characters of a line in the list. */

export function readLines(ask: Ask, more: Params, signal: AbortSignal): AsyncGenerator<LinesMessage[]> {
  return getLines<LinesMessage>(`${NARFI}/lines`, { ...ask, max_line_bytes: MAX_LINE, parsed: 1, ...more }, { signal });
}

export interface Field {
  readonly name: string;
  readonly type: 'text' | 'integer' | 'number' | 'boolean' | 'duration' | 'bytes' | 'time' | 'ip';
  readonly source: 'label' | 'metadata' | 'column' | 'parsed';
  readonly parser?: 'json' | 'logfmt' | 'pattern' | null;
  readonly rows: number;
  readonly share: number;
  readonly distinct: number | null;
  readonly exact: boolean;
  readonly unit: string | null;
}

export interface FieldsAnswer {
  readonly fields: readonly Field[];
  readonly rows: number;
  readonly warnings: readonly Warning[];
}

export interface Facet {
  readonly name: string;
  readonly top: readonly { readonly value: string; readonly count: number }[];
  readonly distinct: number;
  readonly other: number;
  readonly missing: number;
  readonly exact: boolean;
  readonly error: number;
}

export interface FacetsAnswer {
  readonly facets: readonly Facet[];
  readonly rows: number;
  readonly warnings: readonly Warning[];
}

export interface HistogramAnswer {
  readonly start: string;
  readonly end: string;
  readonly step: string;
  readonly series: readonly { readonly value: string; readonly counts: readonly number[] }[];
  readonly total: number;
  readonly exact: boolean;
  readonly warnings: readonly Warning[];
}

export interface DistributionAnswer {
  readonly field: string;
  readonly rows: number;
  readonly missing: number;
  readonly unit: string | null;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly scale: 'linear' | 'log';
  readonly buckets: readonly { readonly from: number; readonly to: number; readonly count: number }[];
  readonly warnings: readonly Warning[];
}

export interface RawContextEntry {
  readonly ts: string;
  readonly line: string;
  readonly labels: Labels;
  readonly metadata: Labels;
  readonly order: number;
  readonly length?: number;
}

export interface ContextAnswer {
  readonly before: readonly RawContextEntry[];
  readonly own: RawContextEntry | null;
  readonly after: readonly RawContextEntry[];
  readonly cursor_before: string | null;
  readonly cursor_after: string | null;
  readonly warnings: readonly Warning[];
}

export const readFields = (ask: Ask, signal: AbortSignal): Promise<FieldsAnswer> =>
  getJson(`${NARFI}/fields`, { ...ask }, { signal });

export const readFacets = (ask: Ask, more: Params, signal: AbortSignal): Promise<FacetsAnswer> =>
  getJson(`${NARFI}/facets`, { ...ask, ...more }, { signal });

export const readHistogram = (ask: Ask, more: Params, signal: AbortSignal): Promise<HistogramAnswer> =>
  getJson(`${NARFI}/histogram`, { ...ask, ...more }, { signal });

export const readDistribution = (ask: Ask, field: string, signal: AbortSignal): Promise<DistributionAnswer> =>
  getJson(`${NARFI}/distribution`, { ...ask, field }, { signal });

export const readContext = (params: Params, signal?: AbortSignal): Promise<ContextAnswer> =>
  getJson(`${NARFI}/context`, params, { signal });

/** What is wrong with a query, in the server's words; empty: nothing. */
export const formatQuery = (query: string, signal?: AbortSignal): Promise<{ readonly data: string }> =>
  getJson(`${LOKI}/format_query`, { query }, { signal });

export function streamText(labels: Labels): string {
  return `{${Object.keys(labels).sort().map((name) => `${name}=${JSON.stringify(labels[name])}`).join(', ')}}`;
}

export function splitMeta(raw: RawMeta): { meta: Labels; parsed: Labels } {
  if (!raw) return { meta: {}, parsed: {} };
  const both = raw as { m?: Labels; p?: Labels };
  if (typeof both.m === 'object' || typeof both.p === 'object') return { meta: both.m ?? {}, parsed: both.p ?? {} };
  return { meta: raw as Labels, parsed: {} };
}
