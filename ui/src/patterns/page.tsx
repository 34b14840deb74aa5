// Which kinds of lines are there, how many of each, and what is new against the range before?
import { useAnswer } from '../base/answer.ts';
import { compact, count, share } from '../base/numbers.ts';
import { useRange } from '../base/range.ts';
import { levelOf } from '../base/theme.ts';
import { formatTime } from '../base/time.ts';
import { go, linkTo, useUrl } from '../base/url.ts';
import { visible, visibleLine } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { Badge } from '../controls/panel.tsx';
import { PageQuery } from '../query/box.tsx';
import { Spark } from '../controls/spark.tsx';
import { readPatterns, type Pattern } from './data.ts';

const ALL = '{service_name=~".+"}';
const GROWN = 2;
type Shown = 'all' | 'new' | 'grown' | 'gone';

export default function PatternsPage() {
  const url = useUrl();
  const range = useRange();
  const query = url.params.get('q') || ALL;
  const shown = (url.params.get('change') ?? 'all') as Shown;
  const answer = useAnswer(`${query} ${range.key}`, (signal) => readPatterns(query, range.start, range.end, true, signal));
  const all = answer.value?.patterns ?? [];
  const groups: Record<Shown, readonly Pattern[]> = {
    all: all.filter((one) => one.change !== 'gone'),
    new: all.filter((one) => one.change === 'new'),
    grown: all.filter((one) => (one.factor ?? 0) >= GROWN),
    gone: all.filter((one) => one.change === 'gone'),
  };
  return (
    <div class="page">
      <h1 class="sr-only">Patterns</h1>
      <PageQuery label="Of which lines" placeholder={ALL} />
      {answer.error && <ErrorBox error={answer.error} again={answer.again} />}
      {answer.value?.warnings.map((one) => <p key={one.text} class="notice" data-kind="warning">{visible(one.text)}</p>)}
      <div class="page-head">
        <div class="segments" role="group" aria-label="Which patterns">
          {(Object.keys(groups) as Shown[]).map((one) => (
            <button key={one} aria-pressed={shown === one} onClick={() => go({ change: one === 'all' ? undefined : one })}>
              {one} {count(groups[one].length)}
            </button>
          ))}
        </div>
        <span class="soft" role="status">
          {answer.isBusy ? 'Looking…' : answer.value ? `of ${count(answer.value.rows)} lines, against the range of the same length before` : ''}
        </span>
      </div>
      {answer.value && !groups[shown].length && (
        <p class="empty">{shown === 'all' ? 'No line of this range matches the query.' : `No pattern is ${shown} against the range before.`}</p>
      )}
      <ol class="patterns" data-busy={answer.isBusy ? '1' : undefined}>
        {groups[shown].map((one) => <OnePattern key={`${one.level}${one.pattern}`} pattern={one} query={query} zone={range.zone} rows={answer.value!.rows} />)}
      </ol>
    </div>
  );
}

function OnePattern({ pattern: one, query, zone, rows }: { pattern: Pattern; query: string; zone: string; rows: number }) {
  const level = levelOf(one.level ?? undefined);
  const only = one.filter && `${query} ${one.filter}`;
  const not = one.filter && `${query} ${one.filter.replace('|>', '!>')}`;
  return (
    <li class="pattern" data-level={level}>
      <div class="pattern-count num">
        <b>{compact(one.count)}</b>
        <span class="soft">{share(one.count, rows)}</span>
      </div>
      <Spark counts={one.samples} label={`${count(one.count)} lines over the range`} />
      <div class="pattern-text">
        <div class="mono">{pieces(one.pattern)}</div>
        <div class="pattern-more">
          {level !== 'unknown' && <span class="level-word">{level}</span>}
          <Change pattern={one} />
          {one.first && one.last && <span class="soft">{formatTime(BigInt(one.first), zone)} – {formatTime(BigInt(one.last), zone)}</span>}
          {only && <a href={linkTo('logs', { q: only })}>only these</a>}
          {not && <a href={linkTo('logs', { q: not })}>all but these</a>}
        </div>
        {one.example && (
          <details>
            <summary class="soft">an example</summary>
            <div class="sample">{visibleLine(one.example, null, true)}</div>
          </details>
        )}
      </div>
    </li>
  );
}

function Change({ pattern: one }: { pattern: Pattern }) {
  if (one.change === 'new') return <Badge kind="warning">new</Badge>;
  if (one.change === 'gone') return <Badge kind="soft">gone</Badge>;
  if (!one.factor || (one.factor < GROWN && one.factor > 1 / GROWN)) return null;
  return one.factor > 1
    ? <Badge kind="warning">×{one.factor < 10 ? one.factor.toFixed(1) : Math.round(one.factor)}</Badge>
    : <Badge kind="soft">÷{(1 / one.factor).toFixed(1)}</Badge>;
}

/** `<_>` stands for what differs. */
function pieces(pattern: string) {
  return pattern.split('<_>').flatMap((text, at) => (at ? [<i class="hole" title="differs">‹…›</i>, visible(text)] : [visible(text)]));
}
