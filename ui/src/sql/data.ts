// SQL over the blocks of the chosen range: which tables there are, and the answer to a question.
import { getJson, NARFI, request } from '../base/api.ts';
import type { Ns } from '../base/time.ts';

export interface SqlColumn {
  readonly name: string;
  readonly type: string;
}

export interface SqlTable {
  readonly name: string;
  readonly columns: readonly SqlColumn[];
  readonly rows: number | null;
}

export interface SqlAnswer {
  readonly columns: readonly SqlColumn[];
  readonly rows: readonly (readonly unknown[])[];
  readonly truncated: boolean;
  readonly ms: number;
  readonly warnings?: readonly unknown[];
}

export const MOST_ROWS = 10_000;

export const readTables = (start: Ns, end: Ns, signal: AbortSignal): Promise<{ tables: readonly SqlTable[] }> =>
  getJson(`${NARFI}/sql/tables`, { start, end }, { signal });

export async function runSql(sql: string, start: Ns, end: Ns, signal: AbortSignal): Promise<SqlAnswer> {
  const json = { sql, start: String(start), end: String(end), limit: MOST_ROWS };
  const answer = await request(`${NARFI}/sql`, {}, { method: 'POST', json, signal });
  return (await answer.json()) as SqlAnswer;
}

export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** With quotes where CSV needs them; a cell that a spreadsheet would compute is a text. */
export function asCsv(answer: SqlAnswer): string {
  const cell = (value: unknown): string => {
    let text = cellText(value);
    if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [answer.columns.map((one) => one.name), ...answer.rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}
