// The Logs page.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { runAgain, useRange } from '../base/range.ts';
import { useStore } from '../base/store.ts';
import { formatClock } from '../base/time.ts';
import { go, useUrl } from '../base/url.ts';
import { visibleLine } from '../base/visible.tsx';
import { Grid } from '../controls/grid.tsx';
import { levelOf } from '../base/theme.ts';
import { ErrorBox } from '../controls/error_box.tsx';
import { AHEAD, LogRun } from './run.ts';

export default function LogsPage() {
  const url = useUrl();
  const range = useRange();
  const query = url.params.get('q') ?? '';
  const [text, setText] = useState(query);
  const box = useRef<HTMLTextAreaElement>(null);
  const run = useMemo(() => new LogRun(), []);
  const state = useStore(run.state);
  useEffect(() => setText(query), [query]);
  useEffect(() => {
    if (query) void run.start({ query, start: range.start, end: range.end }, 'backward');
    else run.clear();
  }, [query, range.start, range.end, range.run]);
  useEffect(() => () => run.stop(), []);
  return (
    <div class="logs">
      <h1 class="sr-only">Logs</h1>
      <form class="ask" onSubmit={(event) => { event.preventDefault(); go({ q: text }); runAgain(); }}>
        <textarea ref={box} aria-label="LogQL query" value={text} rows={1} onInput={(e) => setText(e.currentTarget.value)}
          onKeyDown={(e) => { if (e.key === 'Enter' && !e.shiftKey) { e.preventDefault(); e.currentTarget.form!.requestSubmit(); } }} />
        <button class="button primary">Run</button>
      </form>
      {state.error && <ErrorBox error={state.error} again={runAgain} />}
      <Grid label="Lines" count={state.entries.length} rowHeight={20} of={state.rowsOf} rowKey={(at) => at}
        onSeen={(_, last) => { if (last > state.entries.length - AHEAD) void run.more(); }}
        row={(at) => {
          const entry = state.entries[at]!;
          return (
            <div class="grid-row" data-level={levelOf(entry.meta['detected_level'])}>
              <span role="gridcell">{formatClock(entry.ts, range.zone)} </span>
              <span role="gridcell">{visibleLine(entry.line, null, true)}</span>
            </div>
          );
        }} />
    </div>
  );
}
