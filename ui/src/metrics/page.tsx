// A metric query as a chart and as a table of its series.
import { useEffect, useState } from 'preact/hooks';
import { useAnswer } from '../base/answer.ts';
import { count, number } from '../base/numbers.ts';
import { useRange } from '../base/range.ts';
import { linkTo, useUrl } from '../base/url.ts';
import { visible } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { Panel } from '../controls/panel.tsx';
import { PageQuery } from '../query/box.tsx';
import { Chart } from './chart.tsx';
import { MOST_SERIES, readMetric, summary, type Result } from './data.ts';
import { seriesToken } from './lines.ts';

const EXAMPLES: readonly { readonly title: string; readonly query: string }[] = [
  { title: 'Lines a second by service', query: 'sum by (service_name) (rate({service_name=~".+"}[5m]))' },
  { title: 'Errors a minute by service', query: 'sum by (service_name) (count_over_time({service_name=~".+"} | detected_level="error" [1m]))' },
  { title: 'Bytes a second by service', query: 'sum by (service_name) (bytes_rate({service_name=~".+"}[5m]))' },
];

export default function MetricsPage() {
  const query = useUrl().params.get('q') ?? '';
  const range = useRange();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const answer = useAnswer(query ? `${query} ${range.key}` : null, (signal) => readMetric(query, range.start, range.end, signal));
  useEffect(() => setHidden(new Set()), [query]);
  const result = answer.value;
  return (
    <div class="page">
      <h1 class="sr-only">Metrics</h1>
      <PageQuery takesWords={false} label="Metric query" placeholder={'sum by (app) (rate({app=~".+"}[5m]))'} />
      {answer.error && <ErrorBox error={answer.error} again={answer.again} />}
      {!query && <Examples />}
      {query && answer.isBusy && !result && <p class="soft" role="status">Asking…</p>}
      {result?.total === -1 && !answer.error && (
        <p class="notice">
          This is a query for lines. <a href={linkTo('logs')}>See them on the Logs page</a>, or count them:{' '}
          <a class="mono" href={linkTo('metrics', { q: `sum(count_over_time(${query} [1m]))` })}>sum(count_over_time(… [1m]))</a>
        </p>
      )}
      {result && result.total >= 0 && !answer.error && (
        <div class="panels" data-busy={answer.isBusy ? '1' : undefined}>
          {result.warnings.map((text) => <p key={text} class="notice" data-kind="warning">{visible(text)}</p>)}
          <Panel title={`${count(result.total)} series`} wide
            side={<span class="soft">a point each {number(result.stepS)} s · drag over the chart to zoom</span>}>
            {result.total > MOST_SERIES && <p class="notice">The {MOST_SERIES} largest of {count(result.total)} are shown.</p>}
            {result.times.length
              ? <Chart result={result} hidden={hidden} zone={range.zone} start={range.start} end={range.end} />
              : <p class="soft none">No point in this range.</p>}
          </Panel>
          {result.times.length > 0 && (
            <Panel title="Numbers" wide>
              <SeriesTable result={result} hidden={hidden} setHidden={setHidden} />
            </Panel>
          )}
        </div>
      )}
    </div>
  );
}

function Examples() {
  return (
    <div class="empty">
      <p>A metric query counts or measures lines over time. Three to begin with:</p>
      <ul class="plain-list">
        {EXAMPLES.map((one) => (
          <li key={one.title}>
            <a href={linkTo('metrics', { q: one.query })}>{one.title}</a>
            <div class="mono soft">{one.query}</div>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface TableProps {
  readonly result: Result;
  readonly hidden: ReadonlySet<string>;
  readonly setHidden: (hidden: ReadonlySet<string>) => void;
}

/** Click: only this one, and again for all; with Shift or Ctrl: this one on and off. */
function SeriesTable({ result, hidden, setHidden }: TableProps) {
  const names = result.series.map((one) => one.name);
  const choose = (name: string, isOneMore: boolean): void => {
    const next = new Set(hidden);
    if (isOneMore) {
      if (!next.delete(name)) next.add(name);
    } else if (hidden.size === names.length - 1 && !hidden.has(name)) next.clear();
    else {
      for (const other of names) next.add(other);
      next.delete(name);
    }
    setHidden(next);
  };
  return (
    <div class="table-box" tabIndex={0} role="region" aria-label="Series">
      <table class="table">
        <thead>
          <tr><th scope="col">Series</th>{['Last', 'Mean', 'Least', 'Most'].map((title) => <th key={title} scope="col" class="num">{title}</th>)}</tr>
        </thead>
        <tbody>
          {result.series.map((one, at) => {
            const { last, min, max, mean } = summary(one.values);
            return (
              <tr key={one.name}>
                <td>
                  <button class="series" aria-pressed={!hidden.has(one.name)}
                    onClick={(event) => choose(one.name, event.shiftKey || event.ctrlKey || event.metaKey)}>
                    <span class="swatch" style={{ background: `var(${seriesToken(at)})` }} />
                    <span class="mono">{visible(one.name)}</span>
                  </button>
                </td>
                {[last, mean, min, max].map((value, column) => (
                  <td key={column} class="num">{value === null || Number.isNaN(value) ? '–' : number(value)}</td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
