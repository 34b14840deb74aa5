// Requests to delete lines, as the server lists, counts and carries them out.
import { getJson, LOKI, NARFI, request } from '../base/api.ts';
import type { Ns } from '../base/time.ts';
import type { Warning } from '../logs/data.ts';

export interface DeleteRequest {
  readonly request_id: string;
  readonly start_time: number; // ms
  readonly end_time: number;
  readonly query: string;
  readonly status: string;
  readonly created_at: number;
  readonly deleted_entries: number | null;
  readonly deleted_bytes: number | null;
}

export interface PlainEntry {
  readonly ts: string;
  readonly line: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Preview {
  readonly rows: number;
  readonly bytes: number;
  readonly oldest: PlainEntry | null;
  readonly newest: PlainEntry | null;
  readonly sample: readonly PlainEntry[];
  readonly warnings: readonly Warning[];
}

export const readDeletes = (signal: AbortSignal): Promise<DeleteRequest[]> => getJson(`${LOKI}/delete`, {}, { signal });

/** What a request would hide at once and remove soon. */
export const readPreview = (query: string, start: Ns, end: Ns, signal: AbortSignal): Promise<Preview> =>
  getJson(`${NARFI}/deletes/preview`, { query, start, end }, { signal });

/** Returns the id of the request; times are whole seconds for the server, so the range grows to them. */
export async function requestDelete(query: string, start: Ns, end: Ns): Promise<string> {
  const { from, to } = wholeSeconds(start, end);
  const answer = await request(`${LOKI}/delete`, { query, start: from, end: to }, { method: 'POST' });
  return answer.headers.get('X-Delete-Request-ID') ?? '';
}

export function wholeSeconds(start: Ns, end: Ns): { from: bigint; to: bigint } {
  const second = 1_000_000_000n;
  return { from: start / second, to: (end + second - 1n) / second };
}

export async function cancelDelete(id: string): Promise<void> {
  await request(`${LOKI}/delete`, { request_id: id }, { method: 'DELETE' });
}

export const readReceipt = (id: string): Promise<Record<string, unknown>> =>
  getJson(`${NARFI}/deletes/${encodeURIComponent(id)}/receipt`);
