// Is the server well, what is wrong first, and what does it do now?
import { useEffect, useRef, useState } from 'preact/hooks';
import { bytes, compact, count } from '../base/numbers.ts';
import { can, noteError } from '../base/session.ts';
import { formatAgo, formatSpan, nowNs, SECOND } from '../base/time.ts';
import { useAnswer } from '../base/answer.ts';
import { isAbort } from '../base/api.ts';
import { visible } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { Badge, Facts, Panel, Table, Used } from '../controls/panel.tsx';
import { rate, readMetrics, readState, type Metrics, type Part, type ServerState } from './data.ts';
import { LimitsPanel } from './limits.tsx';
import { QueriesPanel } from './queries.tsx';

const EVERY_MS = 5_000;

export default function StatusPage() {
  const state = useAnswer('', readState, EVERY_MS);
  const rates = useRates();
  if (!can('admin')) return <div class="page"><h1 class="sr-only">Status</h1><QueriesPanel /><LimitsPanel /></div>;
  return (
    <div class="page">
      <h1 class="sr-only">Status</h1>
      {state.error && <ErrorBox error={state.error} again={state.again} />}
      {state.value && (
        <>
          <Verdict state={state.value} />
          <div class="panels">
            <Traffic now={rates.now} before={rates.before} state={state.value} />
            <Storage state={state.value} />
            <Process state={state.value} />
            <QueriesPanel />
            <Upkeep state={state.value} />
            <LimitsPanel />
          </div>
        </>
      )}
    </div>
  );
}

function wrongParts(state: ServerState): readonly Part[] {
  return state.parts.filter((one) => one.state !== 'ok');
}

function Verdict({ state }: { state: ServerState }) {
  const wrong = wrongParts(state);
  const kind = !state.ready ? 'error' : wrong.length ? 'warning' : 'good';
  return (
    <>
      <div class="verdict" data-kind={kind} role="status">
        <strong>{!state.ready ? 'Not ready' : wrong.length ? `${wrong.length} of ${state.parts.length} parts need a look` : 'All is well'}</strong>
        <span>
          {state.not_ready_because ?? (wrong.length ? '' : `${state.parts.length} parts looked at, none of them has anything to tell.`)}
        </span>
      </div>
      {wrong.length > 0 && (
        <ul class="troubles">
          {wrong.map((one) => (
            <li key={one.part} class="notice" data-kind={one.state === 'failing' ? 'error' : 'warning'}>
              <strong>{one.part}</strong> <Badge kind="warning">{one.state}</Badge>{' '}
              <span class="soft">since {formatAgo(BigInt(Math.round(one.since_ns)), nowNs())}</span>
              <p>{visible(one.what)}</p>
              {one.step && <p><b>What to do:</b> {visible(one.step)}</p>}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

interface Rates {
  readonly now: Metrics | null;
  readonly before: Metrics | null;
}

/** Two readings of the counters, a few seconds apart. */
function useRates(): Rates {
  const [rates, setRates] = useState<Rates>({ now: null, before: null });
  const last = useRef<Metrics | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const look = async (): Promise<void> => {
      if (document.hidden) return;
      try {
        const now = await readMetrics({ signal: abort.signal });
        setRates({ now, before: last.current });
        last.current = now;
      } catch (error) {
        if (!isAbort(error)) noteError(error);
      }
    };
    void look();
    const timer = setInterval(() => void look(), EVERY_MS);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, []);
  return rates;
}

const LINES = 'loki_distributor_lines_received_total';
const BYTES = 'loki_distributor_bytes_received_total';
const REFUSED = 'loki_discarded_samples_total';

function Traffic({ now, before, state }: Rates & { state: ServerState }) {
  const each = (name: string, shown: (n: number) => string): string | null => {
    const found = rate(now, before, name);
    return found === null ? null : `${shown(found)}/s`;
  };
  const refused = now ? [...now.by(REFUSED, 'reason')].filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]) : [];
  const tenants = now ? [...now.by(LINES, 'tenant')].sort((a, b) => b[1] - a[1]) : [];
  return (
    <Panel title="Coming in">
      <Facts of={[
        ['Lines', each(LINES, (n) => compact(Math.round(n))) ?? 'measuring…'],
        ['Bytes', each(BYTES, bytes)],
        ['Streams now', now ? count(now.sum('narfi_active_streams')) : null],
        ['Not yet in blocks', `${bytes(state.flush.unflushed_bytes)}, oldest ${span(state.flush.lag_s)}`],
        ['Journal', bytes(state.journal.bytes)],
        ['Busiest tenants', tenants.length > 1 ? tenants.slice(0, 5).map(([name, lines]) => <div key={name}>{visible(name)}: {compact(lines)} lines</div>) : null],
      ]} />
      <h3 class="sub">Refused since the start</h3>
      <Table label="Refused lines by reason" rows={refused} rowKey={([reason]) => reason} none="None: every line was taken."
        columns={[
          { title: 'Reason', cell: ([reason]) => visible(reason) },
          { title: 'Lines', cell: ([, lines]) => count(lines), isNumber: true },
          { title: 'Setting', cell: ([reason]) => SETTINGS[reason] ? <code>{SETTINGS[reason]}</code> : '' },
        ]} />
    </Panel>
  );
}

/** What would allow what was refused. */
const SETTINGS: Readonly<Record<string, string>> = {
  rate_limited: 'limits.ingestion_rate_mb', per_stream_rate_limit: 'limits.per_stream_rate_limit',
  stream_limit: 'limits.max_global_streams_per_user', line_too_long: 'limits.max_line_size',
  greater_than_max_sample_age: 'limits.reject_old_samples_max_age', too_far_in_future: 'limits.creation_grace_period',
  max_label_names_per_series: 'limits.max_label_names_per_series', label_name_too_long: 'limits.max_label_name_length',
  label_value_too_long: 'limits.max_label_value_length',
  structured_metadata_too_large: 'limits.max_structured_metadata_size',
  structured_metadata_too_many: 'limits.max_structured_metadata_entries_count',
};

function Storage({ state }: { state: ServerState }) {
  const { disk } = state;
  const levels = state.levels ?? [];
  const stored = levels.reduce((sum, one) => sum + one.stored_bytes, 0);
  const rows = levels.reduce((sum, one) => sum + one.rows, 0);
  return (
    <Panel title="Stored">
      <Facts of={[
        ['Lines in blocks', count(rows)],
        ['Bytes stored', rows ? `${bytes(stored)} (${(stored / rows).toFixed(1)} a line)` : bytes(stored)],
        ['Waiting to be deleted', state.blocks?.removed ? `${count(state.blocks.removed)} blocks` : null],
        ['Set aside as damaged', state.quarantine.count ? <Badge kind="error">{count(state.quarantine.count)} blocks</Badge> : 'none'],
        ['Losses on record', state.losses ? (state.losses.count ? <Badge kind="error">{count(state.losses.count)}</Badge> : 'none') : null],
        ['Disk', <>
          {bytes(disk.free_bytes)} free of {bytes(disk.total_bytes)}{' '}
          <Used label="Disk in use" used={disk.total_bytes - disk.free_bytes} most={disk.total_bytes} />
        </>],
        ['Pushes stop below', bytes(disk.min_free_bytes)],
        ['Last backup', state.last_backup ? 'yes' : 'none yet'],
      ]} />
      <h3 class="sub">Blocks by level</h3>
      <Table label="Blocks by level" rows={levels} rowKey={(one) => one.level} none="No block yet: lines are in the journal and in memory."
        columns={[
          { title: 'Level', cell: (one) => one.level },
          { title: 'Blocks', cell: (one) => count(one.blocks), isNumber: true },
          { title: 'Lines', cell: (one) => count(one.rows), isNumber: true },
          { title: 'Stored', cell: (one) => bytes(one.stored_bytes), isNumber: true },
        ]} />
    </Panel>
  );
}

function Process({ state }: { state: ServerState }) {
  const canary = state.canary;
  return (
    <Panel title="Process" side={<a href="../metrics">/metrics</a>}>
      <Facts of={[
        ['Version', state.version],
        ['Up for', span(state.uptime_s)],
        ['Roles', state.roles.join(', ')],
        ['Ingesters', count(state.ingesters)],
        ['Log level', state.log_level],
        ['Data', <code>{state.disk.path}</code>],
        ['Canary', canary ? canaryText(canary) : <span class="soft">off (<code>canary: on</code> watches that lines come back)</span>],
      ]} />
    </Panel>
  );
}

function canaryText(canary: Record<string, unknown>): string {
  return Object.entries(canary)
    .filter(([, value]) => typeof value === 'number' || typeof value === 'string')
    .slice(0, 4)
    .map(([name, value]) => `${name.replaceAll('_', ' ')}: ${String(value)}`)
    .join(', ');
}

function Upkeep({ state }: { state: ServerState }) {
  return (
    <Panel title="Upkeep" wide>
      <Table label="Upkeep" rows={state.upkeep} rowKey={(one) => one.task} none="This process does none."
        columns={[
          { title: 'Task', cell: (one) => one.task },
          { title: 'Last done', cell: (one) => one.last_success_ns ? formatAgo(BigInt(Math.round(one.last_success_ns)), nowNs()) : 'not yet' },
          { title: 'Runs', cell: (one) => count(one.runs), isNumber: true },
          { title: 'Failed', cell: (one) => one.failures ? <Badge kind="error">{count(one.failures)}</Badge> : 0, isNumber: true },
          { title: 'Error', cell: (one) => one.last_error ? visible(one.last_error) : '' },
        ]} />
    </Panel>
  );
}

function span(seconds: number): string {
  return formatSpan(BigInt(Math.round(seconds)) * SECOND);
}
