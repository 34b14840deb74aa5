// SQL over the lines of the chosen range: tables with their columns, a box, the answer as a grid.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useAnswer } from '../base/answer.ts';
import type { ApiError } from '../base/api.ts';
import { isAbort } from '../base/api.ts';
import { compact, count, milliseconds } from '../base/numbers.ts';
import { useKeys } from '../base/keys.ts';
import { useRange } from '../base/range.ts';
import { saveFile } from '../base/save.ts';
import { noteError } from '../base/session.ts';
import { go, useUrl } from '../base/url.ts';
import { visible } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { Grid } from '../controls/grid.tsx';
import { Panel } from '../controls/panel.tsx';
import { copyText } from '../controls/toast.tsx';
import { asCsv, cellText, MOST_ROWS, readTables, runSql, type SqlAnswer, type SqlTable } from './data.ts';

const MAX_CELL = 300;

export default function SqlPage() {
  const url = useUrl();
  const range = useRange();
  const [text, setText] = useState(url.params.get('sql') ?? '');
  const [answer, setAnswer] = useState<SqlAnswer | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isRunning, setRunning] = useState(false);
  const [number, setNumber] = useState(0);
  const abort = useRef(new AbortController());
  const box = useRef<HTMLTextAreaElement>(null);
  const tables = useAnswer(range.key, (signal) => readTables(range.start, range.end, signal));
  useKeys({ query: () => box.current?.focus() });
  const run = async (): Promise<void> => {
    if (!text.trim()) return;
    abort.current.abort();
    const mine = (abort.current = new AbortController());
    go({ sql: text }, { replace: true });
    setRunning(true);
    try {
      const found = await runSql(text, range.start, range.end, mine.signal);
      setAnswer(found);
      setError(null);
      setNumber((n) => n + 1);
    } catch (failed) {
      if (!isAbort(failed)) setError(noteError(failed));
    }
    if (abort.current === mine) setRunning(false);
  };
  useEffect(() => {
    if (text) void run(); // a link shows its answer
    return () => abort.current.abort();
  }, []);
  return (
    <div class="sql">
      <h1 class="sr-only">SQL</h1>
      <aside class="sql-tables" aria-label="Tables">
        {tables.error && <ErrorBox error={tables.error} again={tables.again} />}
        {(tables.value?.tables ?? []).map((one) => <OneTable key={one.name} table={one} insert={(name) => setText((was) => was ? `${was} ${name}` : example(one))} />)}
      </aside>
      <div class="sql-main">
        <form class="query-box" onSubmit={(event) => { event.preventDefault(); void run(); }}>
          <textarea ref={box} class="mono" aria-label="SQL" rows={5} spellcheck={false} value={text}
            placeholder={tables.value?.tables[0] ? example(tables.value.tables[0]) : 'SELECT …'}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Escape') event.currentTarget.blur();
              if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); void run(); }
            }} />
          {isRunning
            ? <button type="button" class="button" onClick={() => { abort.current.abort(); setRunning(false); }}>Stop</button>
            : <button class="button primary" title="Ctrl-Enter">Run</button>}
        </form>
        <p class="hint">Lines of the chosen range that are in blocks on this machine, read only. What came in the last minutes is not in a block yet, nor are blocks that no merge unpacked: Logs and Metrics see all. Ctrl-Enter runs.</p>
        {error && <ErrorBox error={error} />}
        {answer && (
          <>
            <div class="live-bar">
              <span role="status">{count(answer.rows.length)} rows{answer.truncated ? `, the first of more (at most ${count(MOST_ROWS)})` : ''} in {milliseconds(answer.ms)}</span>
              <span class="live-buttons">
                <button class="button" onClick={() => void copyText(asCsv(answer), 'CSV')}>Copy CSV</button>
                <button class="button" onClick={() => saveFile(asCsv(answer), 'narfi.csv', 'text/csv')}>CSV</button>
                <button class="button" onClick={() => saveFile(answer.rows.map((row) => JSON.stringify(Object.fromEntries(row.map((value, at) => [answer.columns[at]!.name, value])))).join('\n'), 'narfi.jsonl', 'application/x-ndjson')}>JSONL</button>
              </span>
            </div>
            <Rows answer={answer} of={number} />
          </>
        )}
      </div>
    </div>
  );
}

function example(table: SqlTable): string {
  return `SELECT * FROM ${quoted(table.name)} LIMIT 100`;
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function OneTable({ table, insert }: { table: SqlTable; insert: (name: string) => void }) {
  return (
    <Panel title={table.name} side={<span class="soft num">{table.rows === null ? '' : `${compact(table.rows)} rows`}</span>}>
      <ul class="sql-columns">
        {table.columns.map((one) => (
          <li key={one.name}>
            <button class="link mono" onClick={() => insert(quoted(one.name))}>{visible(one.name)}</button>
            <span class="soft">{one.type.toLowerCase().replace(/\(.*/, '')}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Rows({ answer, of }: { answer: SqlAnswer; of: number }) {
  const widths = answer.columns.map((one, at) =>
    Math.min(60, Math.max(one.name.length, ...answer.rows.slice(0, 200).map((row) => cellText(row[at]).length))) + 2);
  const cells = (texts: readonly string[], role: 'columnheader' | 'gridcell') => (
    <div class="grid-row sql-row">
      {texts.map((text, at) => <span key={at} role={role} style={{ width: `calc(${widths[at]}ch + 18px)` }}>{visible(text.slice(0, MAX_CELL), null, true)}</span>)}
    </div>
  );
  return (
    <Grid label="Rows" class="sql-grid" count={answer.rows.length} rowHeight={22} of={of} rowKey={(at) => at} columns={answer.columns.length}
      header={<div role="row" aria-rowindex={1}>{cells(answer.columns.map((one) => one.name), 'columnheader')}</div>}
      row={(at) => cells(answer.rows[at]!.map(cellText), 'gridcell')} />
  );
}
