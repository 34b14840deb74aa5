// What does the ruler watch, what fires now, and which rule cannot be evaluated and why?
import { useState } from 'preact/hooks';
import { useAnswer } from '../base/answer.ts';
import { count, milliseconds, number } from '../base/numbers.ts';
import { useRange } from '../base/range.ts';
import { formatAgo, formatSpan, nowNs, parseTime, SECOND } from '../base/time.ts';
import { linkTo } from '../base/url.ts';
import { visible, visibleText } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { Badge, Facts, Panel } from '../controls/panel.tsx';
import { PackRules } from '../packs/rules.tsx';
import { readGroups, type Alert, type Group, type Rule } from './data.ts';

const EVERY_MS = 5_000;
type Shown = 'all' | 'firing' | 'pending' | 'failing';

export default function RulesPage() {
  const answer = useAnswer('', readGroups, EVERY_MS);
  const [shown, setShown] = useState<Shown>('all');
  const [text, setText] = useState('');
  const groups = answer.value ?? [];
  const rules = groups.flatMap((one) => one.rules);
  const counts: Record<Shown, number> = {
    all: rules.length,
    firing: rules.filter((one) => one.state === 'firing').length,
    pending: rules.filter((one) => one.state === 'pending').length,
    failing: rules.filter(isFailing).length,
  };
  const wanted = (rule: Rule): boolean =>
    (shown === 'all' || (shown === 'failing' ? isFailing(rule) : rule.state === shown)) &&
    `${rule.name} ${rule.query}`.toLowerCase().includes(text.toLowerCase());
  return (
    <div class="page">
      <h1 class="sr-only">Rules</h1>
      {answer.error && <ErrorBox error={answer.error} again={answer.again} />}
      <div class="page-head">
        <div class="segments" role="group" aria-label="Which rules">
          {(Object.keys(counts) as Shown[]).map((one) => (
            <button key={one} aria-pressed={shown === one} onClick={() => setShown(one)}>{one} {count(counts[one])}</button>
          ))}
        </div>
        <input type="search" placeholder="find a rule" aria-label="Find a rule" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </div>
      {answer.value && !groups.length && <NoRules />}
      <div class="panels">
        {groups.map((group) => <GroupPanel key={`${group.file}/${group.name}`} group={group} rules={group.rules.filter(wanted)} />)}
        {answer.value && shown === 'all' && !text && <PackRules loaded={new Set(rules.map((one) => one.name))} />}
      </div>
    </div>
  );
}

function isFailing(rule: Rule): boolean {
  return rule.health !== 'ok' && rule.health !== 'unknown';
}

function NoRules() {
  return (
    <div class="empty">
      <p>There is no rule yet. A file with groups of rules goes to the server by</p>
      <pre class="sample">narfi rules load --addr {location.origin} rules.yaml</pre>
      <p class="soft">or lies in the folder of <code>ruler.directory</code>. <code>narfi rules check</code> reads it first.</p>
    </div>
  );
}

function GroupPanel({ group, rules }: { group: Group; rules: readonly Rule[] }) {
  if (!rules.length) return null;
  return (
    <Panel title={visibleText(group.name)} wide
      side={<span class="soft">{visible(group.file)} · every {formatSpan(BigInt(Math.round(group.interval)) * SECOND)} · took {milliseconds(group.evaluationTime * 1000)}</span>}>
      <div class="rules">{rules.map((rule, at) => <OneRule key={`${rule.name}${at}`} rule={rule} />)}</div>
    </Panel>
  );
}

const KINDS = { firing: 'error', pending: 'warning', inactive: 'good' } as const;

function OneRule({ rule }: { rule: Rule }) {
  const alerts = rule.alerts ?? [];
  const state = rule.state;
  return (
    <details class="rule" open={state === 'firing' || isFailing(rule)}>
      <summary>
        <span class="rule-name">{visible(rule.name)}</span>
        {isFailing(rule) && <Badge kind="error">cannot be evaluated</Badge>}
        {state ? <Badge kind={KINDS[state]}>{state}{alerts.length ? ` ${alerts.length}` : ''}</Badge> : <Badge kind="soft">recording</Badge>}
      </summary>
      {rule.lastError && <p class="notice" data-kind="error">{visible(rule.lastError)}</p>}
      <Facts of={[
        ['Query', <code>{visible(rule.query)}</code>],
        ['For', rule.duration ? formatSpan(BigInt(Math.round(rule.duration)) * SECOND) : null],
        ['Labels', labels(rule.labels)],
        ...Object.entries(rule.annotations ?? {}).map(([name, text]) => [visibleText(name), visible(text)] as const),
        ['Last evaluated', lately(rule.lastEvaluation)],
        ['Took', milliseconds(rule.evaluationTime * 1000)],
        ['', <a href={linkTo('metrics', { q: rule.query, from: 'now-6h', to: 'now' })}>See its query over the last 6 h</a>],
      ]} />
      {alerts.map((alert, at) => <OneAlert key={at} alert={alert} />)}
    </details>
  );
}

function OneAlert({ alert }: { alert: Alert }) {
  const { zone } = useRange();
  const since = parseTime(alert.activeAt, nowNs(), zone);
  return (
    <div class="alert">
      <Badge kind={KINDS[alert.state]}>{alert.state}</Badge> <span class="mono">{labels(alert.labels)}</span>{' '}
      <span class="soft">= {number(Number(alert.value))}{since !== undefined && `, since ${formatAgo(since, nowNs())}`}</span>
      {Object.entries(alert.annotations).map(([name, text]) => <div key={name}><span class="soft">{visible(name)}:</span> {visible(text)}</div>)}
    </div>
  );
}

function labels(of: Readonly<Record<string, string>> | undefined): string | null {
  const found = Object.entries(of ?? {}).map(([name, value]) => `${name}="${visibleText(value)}"`);
  return found.length ? found.join(' ') : null;
}

function lately(time: string): string | null {
  const found = parseTime(time, nowNs(), 'utc');
  return found === undefined || found <= 0n ? 'not yet' : formatAgo(found, nowNs());
}
