// Why does a query take what it takes? A funnel from all that was considered to what is shown.
import { useAnswer } from '../base/answer.ts';
import { bytes, count, milliseconds, share } from '../base/numbers.ts';
import { useRange } from '../base/range.ts';
import { SERIES } from '../base/theme.ts';
import { useUrl } from '../base/url.ts';
import { visible } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { Panel } from '../controls/panel.tsx';
import { PageQuery } from '../query/box.tsx';
import { readExplain, STAGE_NAMES, type Explained } from './data.ts';

export default function ExplainPage() {
  const query = useUrl().params.get('q') ?? '';
  const range = useRange();
  const answer = useAnswer(query ? `${query} ${range.key}` : null, (signal) => readExplain(query, range.start, range.end, signal));
  const found = answer.value;
  return (
    <div class="page">
      <h1 class="sr-only">Explain</h1>
      <PageQuery takesWords={false} label="Query to explain" placeholder={'{app="api"} | json | status >= 500   the query runs, and its cost is told'} action="Explain" />
      {answer.error && <ErrorBox error={answer.error} again={answer.again} />}
      {!query && <p class="empty">A query that was typed on the Logs or Metrics page is explained here: what was left out by time, labels and literals, what was read, and where the time went.</p>}
      {query && answer.isBusy && !found && <p class="soft" role="status">Running it…</p>}
      {found && !answer.error && (
        <div class="panels" data-busy={answer.isBusy ? '1' : undefined}>
          {found.warnings?.map((one) => <p key={one.text} class="notice" data-kind="warning">{visible(one.text)}</p>)}
          <Funnel found={found} />
          <Phases found={found} />
          <Panel title="How to make it faster">
            {found.advice.length
              ? <ul class="advice">{found.advice.map((one) => <li key={one}>{visible(one)}</li>)}</ul>
              : <p class="soft none">Nothing to gain: it reads little beyond what it shows.</p>}
          </Panel>
          <Panel title="Plan" wide>
            {found.reads.map((one, at) => (
              <ol key={at} class="plan mono">{one.plan.map((step, place) => <li key={place}>{visible(step)}</li>)}</ol>
            ))}
          </Panel>
          <Panel title="Rules that were used">
            {found.rules.length
              ? <ul class="advice">{found.rules.map((one) => <li key={one.name}><b>{visible(one.name)}</b>: {visible(one.text)}</li>)}</ul>
              : <p class="soft none">None: the query ran as it was written.</p>}
          </Panel>
        </div>
      )}
    </div>
  );
}

function Funnel({ found }: { found: Explained }) {
  const most = Math.max(1, ...found.stages.map((one) => one.rows ?? 0));
  return (
    <Panel title="From all lines to these" wide>
      <ol class="funnel">
        {found.stages.map((one) => (
          <li key={one.name}>
            <span class="funnel-name">{STAGE_NAMES[one.name] ?? visible(one.name)}</span>
            <span class="funnel-bar" aria-hidden="true"><span style={{ width: `${(100 * Math.max(one.rows ? 0.003 : 0, (one.rows ?? 0) / most)).toFixed(2)}%` }} /></span>
            <span class="num">{one.rows === null ? '' : `${count(one.rows)} lines`}</span>
            <span class="num soft">{one.rows === null ? '' : share(one.rows, most)}</span>
            <span class="num soft">{one.bytes === null || one.bytes === undefined ? '' : bytes(one.bytes)}</span>
            <span class="funnel-text soft">{visible(one.text)}</span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Phases({ found }: { found: Explained }) {
  const total = found.phases.reduce((sum, one) => sum + one.ms, 0);
  return (
    <Panel title="Where the time went" wide side={<span class="soft num">{milliseconds(total)}</span>}>
      <div class="phase-bar" aria-hidden="true">
        {found.phases.map((one, at) => (
          <span key={one.name} style={{ flexGrow: String(Math.max(one.ms, 0.0001)), background: `var(${SERIES[at % SERIES.length]})` }} />
        ))}
      </div>
      <ul class="phases">
        {found.phases.map((one, at) => (
          <li key={one.name}>
            <span class="swatch" style={{ background: `var(${SERIES[at % SERIES.length]})` }} />
            {visible(one.name)} <span class="num">{milliseconds(one.ms)}</span> <span class="soft num">{share(one.ms, total)}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
