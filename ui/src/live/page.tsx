// Lines as they come. Scrolling up, selecting text or Space pauses; nothing is lost until the ring is full.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { setTenant, tenantName } from '../base/api.ts';
import { useKeys } from '../base/keys.ts';
import { count } from '../base/numbers.ts';
import { useRange } from '../base/range.ts';
import { useStore } from '../base/store.ts';
import { levelOf } from '../base/theme.ts';
import { formatClock } from '../base/time.ts';
import { linkTo, useUrl } from '../base/url.ts';
import { visibleLine, visibleText } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { Grid, type GridHandle } from '../controls/grid.tsx';
import { Badge } from '../controls/panel.tsx';
import { PageQuery } from '../query/box.tsx';
import { MOST, Tail, type TailState } from './tail.ts';

const ROW = 20;
const NEAR_END = 3 * ROW;
const MAX_LINE = 2_000;

export default function LivePage() {
  const query = useUrl().params.get('q') ?? '';
  const range = useRange();
  const tail = useMemo(() => new Tail(), []);
  const state = useStore(tail.state);
  const grid = useRef<GridHandle>(null);
  const follows = useRef(true);
  const tenant = tenantName();
  useEffect(() => {
    setTenant(tenant);
    if (query) tail.start(query);
    else tail.stop();
  }, [query, range.run, tenant]);
  useEffect(() => () => tail.end(), []);
  useEffect(() => {
    if (!state.isPaused && state.entries.length) grid.current?.show(state.entries.length - 1);
  }, [state.entries, state.isPaused]);
  useEffect(() => {
    const selected = (): void => {
      const selection = getSelection();
      if (selection && !selection.isCollapsed && grid.current?.element()?.contains(selection.anchorNode)) tail.pause(true);
    };
    document.addEventListener('selectionchange', selected);
    return () => document.removeEventListener('selectionchange', selected);
  }, []);
  const toggle = (): void => {
    follows.current = true;
    tail.pause(!tail.state.get().isPaused);
  };
  useKeys({ pause: toggle, live: toggle });
  const seen = (_first: number, _last: number, top: number): void => {
    const element = grid.current?.element();
    if (!element) return;
    const isAtEnd = element.scrollHeight - top - element.clientHeight < NEAR_END;
    if (isAtEnd) follows.current = true;
    else if (follows.current && wasScrolledUp(element)) {
      follows.current = false;
      tail.pause(true);
    }
  };
  return (
    <div class="live">
      <h1 class="sr-only">Live</h1>
      <div class="live-top">
        <PageQuery label="Which lines to follow" placeholder={'{app="api"} |= "error"   lines are shown as they come'} action="Follow" />
        {query && <Bar state={state} toggle={toggle} clear={() => tail.clear()} />}
        {state.error && state.state !== 'open' && <ErrorBox error={state.error} />}
        {state.warnings.map((text) => <p key={text} class="notice" data-kind="warning">{visibleText(text)}</p>)}
      </div>
      {query ? (
        <Grid label="Live lines" count={state.entries.length} rowHeight={ROW} of={query} handle={grid} onSeen={seen} class="live-grid"
          rowKey={(at) => state.entries[at]!.id}
          row={(at) => {
            const entry = state.entries[at]!;
            const line = entry.line.length > MAX_LINE ? `${entry.line.slice(0, MAX_LINE)} …` : entry.line;
            const level = levelOf(entry.meta['detected_level']);
            return (
              <div class="grid-row live-row" data-level={level}>
                <span role="gridcell" class="live-time">{formatClock(entry.ts, range.zone)}</span>
                <span role="gridcell" class="live-level">{level === 'unknown' ? '' : level}</span>
                <span role="gridcell" class="live-who">{visibleText(entry.labels['service_name'] ?? Object.values(entry.labels)[0] ?? '')}</span>
                <span role="gridcell" class="live-line">{visibleLine(line, null, true)}</span>
              </div>
            );
          }} />
      ) : (
        <p class="empty">Lines that match are shown here as they come in. Begin with <a class="mono" href={linkTo('live', { q: '{service_name=~".+"}' })}>{'{service_name=~".+"}'}</a> for all.</p>
      )}
      {state.isPaused && state.held > 0 && (
        <button class="new-lines" onClick={toggle}>{count(state.held)} new · resume</button>
      )}
    </div>
  );
}

const STATES = {
  idle: ['soft', 'not following'], connecting: ['soft', 'connecting…'], open: ['good', 'following'],
  waiting: ['warning', 'lost the server, trying again…'], ended: ['soft', 'ended'],
} as const;

function Bar({ state, toggle, clear }: { state: TailState; toggle: () => void; clear: () => void }) {
  const [kind, word] = state.isPaused && state.state === 'open' ? (['warning', 'paused'] as const) : STATES[state.state];
  return (
    <div class="live-bar">
      <Badge kind={kind}>{word}</Badge>
      <span class="num">{count(Math.round(state.perSecond))} lines/s</span>
      <span class="soft num">{count(state.received)} came, the last {count(state.entries.length)} are shown{state.received > MOST ? ` (${count(MOST)} at most)` : ''}</span>
      {state.dropped > 0 && <Badge kind="warning">{count(state.dropped)} dropped</Badge>}
      <span class="sr-only" role="status" aria-live="off">{count(state.entries.length)} lines</span>
      <span class="live-buttons">
        <button class="button" aria-pressed={state.isPaused} onClick={toggle}>{state.isPaused ? 'Resume' : 'Pause'} <kbd>Space</kbd></button>
        <button class="button quiet" onClick={clear}>Clear</button>
      </span>
    </div>
  );
}

const tops = new WeakMap<HTMLElement, number>();

/** Whether its place is above where it last was. */
function wasScrolledUp(element: HTMLElement): boolean {
  const before = tops.get(element) ?? 0;
  tops.set(element, element.scrollTop);
  return element.scrollTop < before;
}
