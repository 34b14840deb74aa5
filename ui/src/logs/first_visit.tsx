// No query yet: the biggest services with their levels, ready searches; and on an empty server how to
// send the first line, and the page turns by itself when it comes.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { useAnswer } from '../base/answer.ts';
import { BASE, getJson, LOKI, tenantName } from '../base/api.ts';
import { bytes, compact, count } from '../base/numbers.ts';
import { useRange, runAgain, setRange } from '../base/range.ts';
import { nowNs, formatAgo, type Ns } from '../base/time.ts';
import { levelOf, LEVELS } from '../base/theme.ts';
import { visible, visibleText } from '../base/visible.tsx';
import { copyText } from '../controls/toast.tsx';
import { PackQuestions } from '../packs/questions.tsx';
import { Spark } from '../controls/spark.tsx';
import { readHistogram, readLines } from './data.ts';
import { ALL_STREAMS } from './filters.ts';
import { quoted } from './logql.ts';

interface Service {
  readonly name: string;
  readonly bytes: number;
}

const LOOK_MS = 1_500;
const SHOWN = 12;
const BUCKETS = 40;

interface VolumeAnswer {
  readonly data: { readonly result: readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[] };
}

export function FirstVisit({ run }: { run: (query: string) => void }) {
  const range = useRange();
  const key = `${range.key} ${tenantName()}`;
  const volume = useAnswer(key, async (signal) => {
    const params = { query: ALL_STREAMS, start: range.start, end: range.end, limit: SHOWN, targetLabels: 'service_name' };
    const answer = await getJson<VolumeAnswer>(`${LOKI}/index/volume`, params, { signal });
    return answer.data.result.map((one): Service => ({ name: one.metric['service_name'] ?? '', bytes: Number(one.value[1]) }));
  });
  const newest = useAnswer(volume.value && !volume.value.length ? key : null, newestLine);
  if (volume.error) return <p class="empty told-error" role="alert">{visible(volume.error.text)}</p>;
  if (!volume.value) return <p class="empty soft">Looking…</p>;
  if (!volume.value.length) {
    if (!newest.value) return <p class="empty soft">Looking…</p>;
    return newest.value.ts === null ? <NoLogsYet /> : <NothingInRange newest={newest.value.ts} />;
  }
  return (
    <div class="page first-visit">
      <section class="ready">
        <h2>Start here</h2>
        <div class="ready-list">
          <button class="card" onClick={() => run(`${ALL_STREAMS} | detected_level=~"error|critical|fatal"`)}><b>What goes wrong</b><span class="soft">errors of all services</span></button>
          <button class="card" onClick={() => run(ALL_STREAMS)}><b>Everything</b><span class="soft">all lines, the newest first</span></button>
          <button class="card" onClick={() => run(`${ALL_STREAMS} |~ "(?i)timeout|refused|unavailable|denied"`)}><b>Trouble in words</b><span class="soft">timeout, refused, unavailable, denied</span></button>
        </div>
      </section>
      <PackQuestions level="cards" />
      <section>
        <h2>Biggest services</h2>
        <div class="services">
          {volume.value.map((one) => <ServiceCard key={one.name} service={one} start={range.start} end={range.end} runKey={key} run={run} />)}
        </div>
      </section>
    </div>
  );
}

const selectorFor = (name: string): string => `{service_name=${quoted(name)}}`;

function ServiceCard({ service, start, end, runKey, run }: { service: Service; start: Ns; end: Ns; runKey: string; run: (query: string) => void }) {
  const answer = useAnswer(`${runKey} ${service.name}`, (signal) =>
    readHistogram({ query: selectorFor(service.name), start, end }, { buckets: BUCKETS, by: 'detected_level', level_from: 'status' }, signal));
  const levels = useMemo(() => {
    const found = new Map<string, number>();
    for (const one of answer.value?.series ?? []) {
      const level = levelOf(one.value);
      found.set(level, (found.get(level) ?? 0) + one.counts.reduce((sum, n) => sum + n, 0));
    }
    return LEVELS.flatMap((level) => (found.get(level) ? [{ level, count: found.get(level)! }] : []));
  }, [answer.value]);
  const sums = Array.from({ length: BUCKETS }, (_, at) => (answer.value?.series ?? []).reduce((sum, one) => sum + (one.counts[at] ?? 0), 0));
  const total = answer.value?.total ?? 0;
  return (
    <button class="card service" onClick={() => run(selectorFor(service.name))}>
      <span class="service-head"><b class="cut">{visible(service.name)}</b><span class="soft num">{bytes(service.bytes)}</span></span>
      <Spark counts={sums} label={`${visibleText(service.name)}: lines over time`} />
      <span class="shares" aria-hidden="true">
        {levels.map((one) => <i key={one.level} title={`${one.level}: ${count(one.count)}`} style={{ flexGrow: one.count, background: `var(--fill-${one.level})` }} />)}
      </span>
      <span class="service-foot num">
        <span>{total ? `${compact(total)} lines` : ' '}</span>
        {levels.filter((one) => ['error', 'critical', 'fatal', 'warn'].includes(one.level)).map((one) => (
          <span class="level-word" data-level={one.level}>{compact(one.count)} {one.level}</span>
        ))}
      </span>
    </button>
  );
}

async function newestLine(signal: AbortSignal): Promise<{ ts: Ns | null }> {
  let ts: Ns | null = null;
  const end = nowNs() + 600n * 1_000_000_000n;
  const ask = { query: ALL_STREAMS, start: end - 29n * 86_400n * 1_000_000_000n, end };
  for await (const messages of readLines(ask, { limit: 1 }, signal)) {
    for (const message of messages) if (message.entries?.[0]) ts = BigInt(message.entries[0][1]);
  }
  return { ts };
}

function NothingInRange({ newest }: { newest: Ns }) {
  const range = useRange();
  const hour = range.end - range.start;
  return (
    <div class="empty">
      <h2>No lines in this range</h2>
      <p>The newest line is {formatAgo(newest, nowNs())}.</p>
      <button class="button primary" onClick={() => setRange(newest - hour, newest + 1_000_000n)}>Go there</button>
    </div>
  );
}

function NoLogsYet() {
  const place = `${location.origin}${BASE.replace(/\/$/, '')}`;
  const tenant = tenantName();
  const header = tenant ? ` -H 'X-Scope-OrgID: ${tenant}'` : '';
  useEffect(() => {
    const abort = new AbortController();
    const timer = setInterval(() => {
      if (document.hidden) return;
      newestLine(abort.signal).then((found) => found.ts !== null && runAgain(), () => undefined);
    }, LOOK_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, []);
  return (
    <div class="page first-visit no-logs">
      <h2>No logs yet</h2>
      <p>Send a first line; this page shows it when it comes. <span class="waiting" role="status">Waiting…</span></p>
      <Snippet title="From a shell" text={
        `curl ${place}/loki/api/v1/push -H 'Content-Type: application/json'${header} -d "{\\"streams\\":[{\\"stream\\":{\\"app\\":\\"hello\\"},\\"values\\":[[\\"$(date +%s)000000000\\",\\"level=info msg=\\\\\\"hello from $(hostname)\\\\\\"\\"]]}]}"`} />
      <Snippet title="Files of this machine, with narfi agent or Promtail" text={
        `clients:\n  - url: ${place}/loki/api/v1/push${tenant ? `\n    tenant_id: ${tenant}` : ''}\npositions: {filename: /tmp/positions.yaml}\nscrape_configs:\n  - job_name: logs\n    static_configs:\n      - labels: {job: varlogs, __path__: /var/log/*.log}`} />
      <Snippet title="OpenTelemetry (OTLP over HTTP)" text={
        `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=${place}/otlp/v1/logs${tenant ? `\nOTEL_EXPORTER_OTLP_HEADERS=X-Scope-OrgID=${tenant}` : ''}`} />
      <p class="hint">Grafana, Promtail, Alloy, Vector, Fluent Bit and others: a Loki data source or output with the address {place}</p>
    </div>
  );
}

function Snippet({ title, text }: { title: string; text: string }) {
  const box = useRef<HTMLPreElement>(null);
  return (
    <section class="snippet">
      <h3>{title}</h3>
      <pre ref={box} tabIndex={0} aria-label={title}>{text}</pre>
      <button class="button small" onClick={() => void copyText(text, title)}>Copy</button>
    </section>
  );
}
