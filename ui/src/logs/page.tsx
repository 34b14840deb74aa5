// The Logs page: one question in the URL, its lines, its histogram, its fields.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useAnswer } from '../base/answer.ts';
import { lazy } from '../base/lazy.tsx';
import { useKeys } from '../base/keys.ts';
import { setRange } from '../base/range.ts';
import { recoveredStore } from '../base/session.ts';
import { useStore } from '../base/store.ts';
import { linkTo } from '../base/url.ts';
import { visible, visibleText } from '../base/visible.tsx';
import { copyText } from '../controls/toast.tsx';
import { PAGES } from '../pages.ts';
import type { Span } from './bars.ts';
import { readFields, readHistogram, type Ask, type Entry, type Field } from './data.ts';
import { chipsOf, searchedFor, withoutPart } from './filters.ts';
import { LineList } from './list.tsx';
import { isMetricQuery, parseLogQuery } from './logql.ts';
import { Warnings } from './warnings.tsx';
import { QueryBox } from '../query/box.tsx';
import { LogRun, type RunState } from './run.ts';
import { Toolbar } from './toolbar.tsx';
import { LEVEL, useViewState } from './view_state.ts';

const BUCKETS = 120;
const FEW = 40;
const MOST_PARTS = 20;

const Histogram = lazy(async () => (await import('./later.ts')).Histogram);
const ErrorBox = lazy(async () => (await import('./later.ts')).ErrorBox);
const Facets = lazy(async () => (await import('./later.ts')).Facets);
const FirstVisit = lazy(async () => (await import('./later.ts')).FirstVisit);
const Linked = lazy(async () => (await import('./later.ts')).Linked);
const Empty = lazy(async () => (await import('./later.ts')).Empty);

export default function LogsPage() {
  const view = useViewState();
  const { query, range } = view;
  const run = useMemo(() => new LogRun(), []);
  const state = useStore(run.state);
  const recovered = useStore(recoveredStore);
  const isMetric = isMetricQuery(query);
  const ask = useMemo<Ask | null>(() => (query && !isMetric ? { query, start: range.start, end: range.end } : null), [query, range.start, range.end]);
  useEffect(() => {
    if (ask) void run.start(ask, view.direction);
    else run.clear();
  }, [ask, view.direction, range.run]);
  useEffect(() => void run.goOn(), [recovered]); // the lines that are there stay
  useEffect(() => () => run.stop(), []);

  const sideKey = useSideKey(state, String(range.run));
  const histogram = useAnswer(sideKey && `${sideKey} ${view.by}`, (signal) =>
    readHistogram(state.ask!, { buckets: BUCKETS, by: view.by, ...(view.by === LEVEL && { level_from: 'status' }) }, signal));
  const fields = useAnswer(sideKey, (signal) => readFields(state.ask!, signal));
  const parsed = useMemo(() => parseLogQuery(query), [query]);
  const [find, setFind] = useState('');
  const marks = useMemo(() => bothMarks(searchedFor(parsed), find), [parsed, find]);
  const hits = useMemo(() => hitsOf(state.entries, find), [state.entries, find]);
  const [hit, setHit] = useState(-1);
  useEffect(() => setHit(-1), [find, state.rowsOf]);
  const [active, setActive] = useState<Entry | null>(null);
  const [downloads, setDownloads] = useState(0);
  const [showsFields, setShowsFields] = useState(false);
  const facetBox = useRef<HTMLDivElement>(null);

  const copyLink = (): void => void copyText(view.link(), 'link');
  useKeys({
    copyLink: () => (active ? void copyText(view.link(active), 'link to the line') : copyLink()),
    wrap: () => view.set({ wrap: view.wraps ? undefined : '1' }),
    viewLines: () => view.set({ v: undefined }),
    viewTable: () => view.set({ v: 'table' }),
    viewJson: () => view.set({ v: 'json' }),
    download: () => setDownloads((n) => n + 1),
    live: () => (PAGES.some((page) => page.id === 'live') ? void location.assign(linkTo('live')) : false),
  });
  const stepHit = (by: 1 | -1, from: number): number => {
    const next = by > 0 ? (hits.find((at) => at > from) ?? hits[0]!) : (hits.findLast((at) => at < from) ?? hits.at(-1)!);
    setHit(next);
    return next;
  };
  const parts = useMemo(() => (fields.value?.fields ?? []).filter(partsWell).map((one) => one.name).slice(0, MOST_PARTS), [fields.value]);
  const held = useMemo(() => spanOf(state.entries), [state.entries]);
  const isBusy = state.phase === 'running' || state.phase === 'more';
  const warnings = [...state.warnings, ...(histogram.value?.warnings ?? [])].filter((one, at, all) => all.findIndex((other) => other.text === one.text) === at);
  const isEmpty = state.phase === 'done' && !state.entries.length;
  const isStale = isBusy && state.phase === 'running' && state.firstMs === null;
  const showTop = (name: string): void => {
    setShowsFields(true);
    const buttons = [...(facetBox.current?.querySelectorAll<HTMLButtonElement>('.facet-name') ?? [])];
    const button = buttons.find((one) => one.querySelector('.cut')?.textContent === visibleText(name));
    if (button?.getAttribute('aria-expanded') === 'false') button.click();
    button?.scrollIntoView({ block: 'start' });
    button?.focus();
  };
  return (
    <div class="logs">
      <h1 class="sr-only">Logs</h1>
      <QueryBox query={query} isBusy={isBusy} run={view.ask} stop={() => run.stop()} fieldNames={fields.value?.fields.map((one) => one.name) ?? []} />
      {!query ? (
        <FirstVisit run={view.ask} />
      ) : isMetric ? (
        <MetricHint />
      ) : (
        <div class="logs-body" data-fields={showsFields ? '1' : undefined}>
          <div class="facets-side" ref={facetBox}>
            <button class="button narrow-only facets-close" onClick={() => setShowsFields(false)}>Back to the lines</button>
            <Facets ask={state.ask} runKey={sideKey} fields={fields.value} isBusy={fields.isBusy} setQuery={view.ask} columns={view.columns} toggleColumn={view.toggleColumn} />
          </div>
          <div class="logs-main">
            <Chips query={query} setQuery={view.ask} />
            <div class="histogram-place"><Histogram answer={histogram.value} isStale={histogram.isBusy || isStale} by={view.by} parts={parts} setBy={(name) => view.set({ by: name === LEVEL ? undefined : name, hide: undefined })} zone={range.zone} hidden={view.hidden}
              setHidden={(names) => view.set({ hide: names.join(',') })} warnings={warnings} at={active?.ts ?? null} held={held}
              zoom={(start, end) => setRange(start, end)} /></div>
            <Warnings warnings={warnings} zone={range.zone} />
            {state.error && <ErrorBox error={state.error} again={() => void run.goOn()} what={state.entries.length ? 'Go on' : 'Try again'} />}
            {histogram.error && !state.error && <ErrorBox error={histogram.error} again={histogram.again} />}
            <Toolbar state={state} total={histogram.value && !histogram.isBusy ? histogram.value.total : null} isExact={histogram.value?.exact ?? true}
              view={view.view} setView={(one) => view.set({ v: one === 'lines' ? undefined : one })}
              wraps={view.wraps} setWraps={(on) => view.set({ wrap: on ? '1' : undefined })}
              showsTime={view.showsTime} setShowsTime={(on) => view.set({ time: on ? undefined : '0' })}
              columns={view.columns} toggleColumn={view.toggleColumn} fields={fields.value?.fields ?? []}
              direction={view.direction} setDirection={(one) => view.set({ dir: one === 'backward' ? undefined : one })}
              find={find} setFind={setFind} hits={{ at: hits.indexOf(hit), of: hits.length }} step={(by) => hits.length && stepHit(by, hit)}
              downloads={downloads} copyLink={copyLink} showFields={() => setShowsFields(true)} />
            {view.line && <Linked name={view.line} entries={state.entries} zone={range.zone} isNewestFirst={view.direction === 'backward'} close={() => view.set({ line: undefined })} />}
            <div class="list-box" data-stale={isStale ? '1' : undefined}>
              {isEmpty ? <Empty ask={ask!} zone={range.zone} drop={() => dropLast(query, view.ask)} /> : ask && (
                <LineList state={state} view={view} ask={ask} marks={marks} hits={hits} hit={hit} stepHit={stepHit}
                  more={() => void run.more()} setActive={setActive} showTop={showTop} />
              )}
            </div>
          </div>
        </div>
      )}
    </div>
  );
}

/** Whether bars by this field can be told apart. */
function partsWell(field: Field): boolean {
  if (field.distinct === null) return /^(status|status_code|code|method|level|severity|region|env)$/.test(field.name);
  return field.distinct > 1 && field.distinct <= FEW;
}

/** Set once the first lines of a run are there, so that they do not wait for histogram and fields. */
function useSideKey(state: RunState, runName: string): string | null {
  const key = useRef<string | null>(null);
  const { ask, phase, firstMs } = state;
  if (!ask || (phase === 'error' && state.error?.status === 400)) key.current = null;
  else if (firstMs !== null || phase === 'done') key.current = `${runName} ${ask.query} ${ask.start} ${ask.end}`;
  return key.current;
}

/** From the oldest to the newest. */
function spanOf(entries: readonly Entry[]): Span | null {
  const [first, last] = [entries[0]?.ts, entries.at(-1)?.ts];
  if (first === undefined || last === undefined) return null;
  return first < last ? { start: first, end: last } : { start: last, end: first };
}

function bothMarks(searched: RegExp | null, find: string): RegExp | null {
  if (!find) return searched;
  const own = find.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(searched ? `${own}|${searched.source}` : own, 'giu');
}

function hitsOf(entries: readonly Entry[], find: string): number[] {
  const wanted = find.toLowerCase();
  if (!wanted) return [];
  return entries.flatMap((one, at) => (one.line.toLowerCase().includes(wanted) ? [at] : []));
}

function dropLast(query: string, setQuery: (query: string) => void): void {
  const chip = chipsOf(parseLogQuery(query)).at(-1);
  const next = chip && withoutPart(query, chip.part);
  if (next) setQuery(next);
}

/** Each filter of the query, and a way out of it. */
function Chips({ query, setQuery }: { query: string; setQuery: (query: string) => void }) {
  const chips = chipsOf(useMemo(() => parseLogQuery(query), [query]));
  if (!chips.length) return null;
  return (
    <ul class="chips" aria-label="Filters">
      {chips.map((one) => (
        <li key={one.part.from} class="chip-box" data-not={one.not ? '1' : undefined}>
          <code class="cut">{visible(one.text)}</code>
          <button class="icon tiny" title="Without this" aria-label={`Without ${visibleText(one.text)}`}
            onClick={() => {
              const next = withoutPart(query, one.part);
              if (next) setQuery(next);
            }}>×</button>
        </li>
      ))}
    </ul>
  );
}

function MetricHint() {
  const hasPage = PAGES.some((page) => page.id === 'metrics');
  return (
    <div class="empty">
      <h2>This query makes numbers, not lines</h2>
      <p>{hasPage ? <a class="button primary" href={linkTo('metrics')}>Open it under Metrics</a> : 'Lines come from a query that begins with a selector: {app="api"}'}</p>
    </div>
  );
}
