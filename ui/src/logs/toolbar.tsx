// The line above the lines: what is there and what it cost, the view, what is shown of it.
import { useRef } from 'preact/hooks';
import { lazy } from '../base/lazy.tsx';
import { useKeys } from '../base/keys.ts';
import { count, milliseconds } from '../base/numbers.ts';
import { visible } from '../base/visible.tsx';
import { Popover } from '../controls/popover.tsx';
import type { Field } from './data.ts';
import { MOST, type Direction, type RunState } from './run.ts';
import type { View } from './rows.tsx';

interface Props {
  readonly state: RunState;
  readonly total: number | null;
  readonly isExact: boolean;
  readonly view: View;
  readonly setView: (view: View) => void;
  readonly wraps: boolean;
  readonly setWraps: (on: boolean) => void;
  readonly showsTime: boolean;
  readonly setShowsTime: (on: boolean) => void;
  readonly columns: readonly string[];
  readonly toggleColumn: (name: string) => void;
  readonly fields: readonly Field[];
  readonly direction: Direction;
  readonly setDirection: (direction: Direction) => void;
  readonly find: string;
  readonly setFind: (text: string) => void;
  readonly hits: { readonly at: number; readonly of: number };
  readonly step: (by: 1 | -1) => void;
  readonly downloads: number;
  readonly copyLink: () => void;
  readonly showFields: () => void;
}

const Download = lazy(async () => (await import('./later.ts')).Download);
const VIEWS: readonly [View, string][] = [['lines', 'Lines'], ['table', 'Table'], ['json', 'JSON']];

export function Toolbar(props: Props) {
  return (
    <div class="toolbar">
      <Told {...props} />
      <span class="spring" />
      <button class="button small narrow-only" onClick={props.showFields}>Fields</button>
      <FindBox {...props} />
      <div class="segments" role="group" aria-label="View">
        {VIEWS.map(([view, title], at) => (
          <button key={view} aria-pressed={props.view === view} title={`${title} (${at + 1})`} onClick={() => props.setView(view)}>{title}</button>
        ))}
      </div>
      <Popover label="Show" align="right" buttonClass="button small" title="What is shown of each line">
        {() => (
          <div class="show-box">
            <label class="check"><input type="checkbox" checked={props.wraps} onChange={(e) => props.setWraps(e.currentTarget.checked)} /> wrap long lines (z)</label>
            <label class="check"><input type="checkbox" checked={props.showsTime} onChange={(e) => props.setShowsTime(e.currentTarget.checked)} /> time</label>
            <label class="check">order{' '}
              <select value={props.direction} onChange={(e) => props.setDirection(e.currentTarget.value as Direction)}>
                <option value="backward">newest first</option>
                <option value="forward">oldest first</option>
              </select>
            </label>
            <Columns {...props} />
          </div>
        )}
      </Popover>
      <button class="button small wide-only" title="Copy a link to this view (Y)" onClick={props.copyLink}>Link</button>
      <Download ask={props.state.ask} direction={props.direction} opens={props.downloads} />
    </div>
  );
}

/** `1,000 newest of 31,585 lines · 63 ms · read 186,214 of 5,390,701 rows`. */
function Told({ state, total, isExact, direction }: Props) {
  const { entries, progress, stats, ms, phase, complete, cursor } = state;
  const isBusy = phase === 'running' || phase === 'more';
  const read = progress && progress.of_rows ? `read ${count(progress.read_rows)} of ${count(progress.of_rows)} rows` : readOf(stats);
  const which = cursor ? (direction === 'backward' ? ' newest' : ' oldest') : '';
  return (
    <div class="told" role="status" aria-live="polite"
      title={cursor ? 'The list and its scroll bar are of these lines; the line below the bars shows their time. Scroll on for the next ones, or drag over the bars to go elsewhere' : undefined}>
      <b class="num">{count(entries.length)}{which}</b>{' '}
      {total !== null && (cursor || total !== entries.length) ? <>of <b class="num">{isExact ? '' : 'about '}{count(total)}</b> lines</> : entries.length === 1 ? 'line' : 'lines'}
      {isBusy && <span class="soft"> · running…</span>}
      {phase === 'stopped' && <span class="soft"> · stopped</span>}
      {!isBusy && ms !== null && <span class="soft num"> · {milliseconds(ms)}</span>}
      {read && <span class="soft num wide-only"> · {read}</span>}
      {!complete && !cursor && phase === 'done' && <span class="soft"> · not complete</span>}
      {entries.length >= MOST && <span class="soft"> · {count(MOST)} at most are held: a shorter range shows the others</span>}
      {isBusy && progress && progress.of_rows > 0 && <div class="meter"><span style={{ width: `${(100 * progress.read_rows) / progress.of_rows}%` }} /></div>}
    </div>
  );
}

function readOf(stats: RunState['stats']): string {
  const summary = (stats?.['summary'] ?? stats) as { totalLinesProcessed?: number; read_rows?: number } | null;
  const rows = summary?.totalLinesProcessed ?? summary?.read_rows;
  return typeof rows === 'number' ? `read ${count(rows)} rows` : '';
}

function FindBox({ find, setFind, hits, step }: Props) {
  const box = useRef<HTMLInputElement>(null);
  useKeys({ search: () => box.current?.focus() });
  return (
    <div class="find">
      <input ref={box} type="search" size={14} placeholder="In these lines (s)" aria-label="Search in these lines" value={find}
        onInput={(event) => setFind(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') step(event.shiftKey ? -1 : 1);
          else if (event.key === 'Escape') {
            setFind('');
            event.currentTarget.blur();
          }
        }} />
      {find && (
        <>
          <span class="num soft" role="status">{!hits.of ? 'none' : hits.at < 0 ? `${hits.of}` : `${hits.at + 1}/${hits.of}`}</span>
          <button class="icon tiny" title="Hit before (N)" aria-label="Hit before" onClick={() => step(-1)}>↑</button>
          <button class="icon tiny" title="Next hit (n)" aria-label="Next hit" onClick={() => step(1)}>↓</button>
        </>
      )}
    </div>
  );
}

const FIXED = ['time', 'level', 'service', 'line'];

function Columns({ columns, toggleColumn, fields }: Props) {
  const names = [...new Set([...FIXED, ...columns, ...fields.map((one) => one.name)])].slice(0, 200);
  return (
    <fieldset class="columns">
      <legend>Columns of the table</legend>
      {names.map((name) => (
        <label key={name} class="check"><input type="checkbox" checked={columns.includes(name)} onChange={() => toggleColumn(name)} /> <span class="cut">{visible(name)}</span></label>
      ))}
    </fieldset>
  );
}
