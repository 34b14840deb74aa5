// The lines: in one of three views, with keys, details in their place, hits of a search among them.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useKeys } from '../base/keys.ts';
import { lazy } from '../base/lazy.tsx';
import { memo } from '../base/memo.ts';
import { formatTime } from '../base/time.ts';
import { copyText } from '../controls/toast.tsx';
import { Grid, type GridHandle } from '../controls/grid.tsx';
import type { Ask, Entry } from './data.ts';
import { levelTokenOf, parseLineName, plainLine } from './entry.ts';
import { AHEAD, type RunState } from './run.ts';
import { digitsAt, JsonRow, LineRow, TableRow, type RowLook } from './rows.tsx';
import type { ViewState } from './view_state.ts';

interface Props {
  readonly state: RunState;
  readonly view: ViewState;
  readonly ask: Ask;
  readonly marks: RegExp | null;
  readonly hits: readonly number[];
  readonly hit: number;
  readonly stepHit: (by: 1 | -1, from: number) => number;
  readonly more: () => void;
  readonly setActive: (entry: Entry | null) => void;
  readonly showTop: (name: string) => void;
}

const ROWS = { lines: memo(LineRow), table: memo(TableRow), json: memo(JsonRow) };
const ROW_HEIGHT = 20;
const TableHead = lazy(async () => (await import('./later.ts')).TableHead);
const Details = lazy(async () => (await import('./later.ts')).Details);
const rowId = (at: number): string => `line-${at}`;

export function LineList(props: Props) {
  const { state, view, ask, marks } = props;
  const { entries } = state;
  const [active, setActive] = useState(-1);
  const [open, setOpen] = useState(-1);
  const grid = useRef<GridHandle>(null);
  const lastSeen = useRef(0);
  const wantMore = (): void => {
    if (lastSeen.current >= entries.length - AHEAD) props.more();
  };
  useEffect(() => {
    if (state.phase === 'done') wantMore(); // who was at the end before a page was whole
  }, [state.phase, state.cursor]);
  const isWide = view.wraps || view.view === 'json';
  const hasDays = formatTime(view.range.start, view.range.zone).slice(0, 10) !== formatTime(view.range.end, view.range.zone).slice(0, 10);
  const sharesMs = useMemo(() => entries.some((_, at) => digitsAt(entries, at) === 9), [entries]);
  const look = useMemo<RowLook>(
    () => ({ zone: view.range.zone, marks, hasDays, showsTime: view.showsTime, columns: view.columns, widths: view.widths }),
    [view.range.zone, marks, hasDays, view.showsTime, view.columns, view.widths],
  );
  useLayoutEffect(() => { // with the first of other lines, so that a key of then is one for them
    setActive(-1);
    setOpen(-1);
  }, [state.rowsOf]);
  useEffect(() => props.setActive(entries[active] ?? null), [active, state.rowsOf]);
  useEffect(() => () => props.setActive(null), []);
  useEffect(() => {
    if (props.hit >= 0) choose(props.hit, 'middle');
  }, [props.hit]);
  useLinked(state, view.line, (at) => {
    choose(at, 'middle');
    setOpen(at);
  });

  function choose(at: number, place: 'near' | 'middle' = 'near'): void {
    const row = Math.max(0, Math.min(entries.length - 1, at));
    if (!entries.length) return;
    setActive(row);
    grid.current?.show(row, place);
    if (open >= 0 && open !== row) setOpen(row);
  }
  const toggle = (at: number): void => {
    setActive(at);
    setOpen(open === at ? -1 : at);
    if (open !== at && view.context) view.set({ ctx: undefined });
  };
  const seek = (level: string, by: 1 | -1): void => {
    for (let at = active + by; at >= 0 && at < entries.length; at += by) {
      const token = levelTokenOf(entries[at]!);
      if (token === level || (level === 'error' && (token === 'critical' || token === 'fatal'))) {
        choose(at, 'middle');
        return;
      }
    }
  };
  const page = (by: 1 | -1): void => choose(Math.max(0, active) + by * (grid.current?.page() ?? 10));
  const hit = (by: 1 | -1): void | false => (props.hits.length ? choose(props.stepHit(by, active), 'middle') : false);
  useKeys({
    next: () => choose(active + 1),
    previous: () => choose(active < 0 ? 0 : active - 1),
    pageDown: () => page(1),
    pageUp: () => page(-1),
    first: () => choose(0),
    last: () => choose(entries.length - 1),
    open: () => (active >= 0 ? toggle(active) : false),
    close: () => (open >= 0 ? setOpen(-1) : false),
    context: () => {
      if (active < 0) return false;
      setOpen(active);
      view.set({ ctx: view.context ? undefined : '10' });
      return undefined;
    },
    copyLine: () => (entries[active] ? void copyText(plainLine(entries[active]!), 'line') : false),
    nextError: () => seek('error', 1),
    previousError: () => seek('error', -1),
    nextWarning: () => seek('warn', 1),
    previousWarning: () => seek('warn', -1),
    nextHit: () => hit(1),
    previousHit: () => hit(-1),
  });

  const Row = ROWS[view.view];
  const row = (at: number): ComponentChildren => {
    const entry = entries[at];
    if (!entry) return null;
    return (
      <>
        <div class="row-click" role="presentation" onClick={(event) => clicked(event, () => toggle(at))}>
          <Row entry={entry} look={look} digits={digitsAt(entries, at)} />
        </div>
        {open === at && (
          <Details entry={entry} ask={ask} zone={view.range.zone} marks={marks} isNewestFirst={view.direction === 'backward'}
            columns={view.columns} link={view.link(entry)} setQuery={view.ask} toggleColumn={view.toggleColumn} showTop={props.showTop}
            context={view.context} setContext={(lines) => view.set({ ctx: lines ? String(lines) : undefined })}
            close={() => {
              setOpen(-1);
              grid.current?.focus();
            }} />
        )}
      </>
    );
  };
  return (
    <Grid label="Lines" handle={grid} count={entries.length} rowHeight={ROW_HEIGHT} of={`${state.rowsOf} ${view.view}`} rowKey={(at) => at}
      rowId={rowId} active={active} wraps={isWide} class={`lines view-${view.view}${sharesMs ? ' time-wide' : ''}${hasDays ? ' time-days' : ''}`} row={row}
      columns={view.view === 'table' ? view.columns.length : view.showsTime ? 4 : 3}
      header={view.view === 'table' ? (
        <TableHead columns={view.columns} widths={view.widths} hasDays={hasDays} setWidth={view.setWidth} move={view.moveColumn} remove={view.toggleColumn} />
      ) : undefined}
      onSeen={(_, last) => {
        lastSeen.current = last;
        wantMore();
      }} />
  );
}

/** Not where text was selected with the mouse, nor on what has a click of its own. */
function clicked(event: MouseEvent, act: () => void): void {
  if ((event.target as Element).closest('a, button, input')) return;
  if (getSelection()?.toString()) return;
  act();
}

/** The line that the URL names, once it is there. */
function useLinked(state: RunState, name: string, found: (at: number) => void): void {
  const done = useRef('');
  useEffect(() => {
    const wanted = name ? parseLineName(name) : null;
    if (!wanted || done.current === name || !state.entries.length) return;
    const at = state.entries.findIndex((one) => one.ts === wanted.ts && one.order === wanted.order && one.stream.text === wanted.stream);
    if (at < 0) return;
    done.current = name;
    found(at);
  }, [name, state.entries]);
}
