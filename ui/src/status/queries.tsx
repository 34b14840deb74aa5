// Which queries run now, at which cost, and how is one ended? Beside them those that ended lately.
import { request, NARFI } from '../base/api.ts';
import { useAnswer } from '../base/answer.ts';
import { bytes, milliseconds } from '../base/numbers.ts';
import { noteError } from '../base/session.ts';
import { formatAgo, nowNs } from '../base/time.ts';
import { linkTo } from '../base/url.ts';
import { visibleText } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { Badge, Panel, Table, Used, type Column } from '../controls/panel.tsx';
import { toast } from '../controls/toast.tsx';
import { readQueries, type OneQuery } from './data.ts';

const EVERY_MS = 2_000;
const RECENT = 10;

export function QueriesPanel() {
  const answer = useAnswer('', readQueries, EVERY_MS);
  const cancel = async (id: string): Promise<void> => {
    try {
      await request(`${NARFI}/queries/${encodeURIComponent(id)}`, {}, { method: 'DELETE' });
      toast('Cancelled');
    } catch (error) {
      toast(noteError(error).text);
    }
    answer.again();
  };
  const running = answer.value?.queries ?? [];
  const recent = (answer.value?.recent ?? []).slice(0, RECENT);
  return (
    <Panel title="Queries" wide>
      {answer.error && <ErrorBox error={answer.error} again={answer.again} />}
      <Table label="Queries that run now" rows={running} rowKey={(one) => one.id} none="None runs now."
        columns={[
          ...ASKED,
          { title: 'State', cell: (one) => <Badge kind={one.state === 'running' ? 'good' : 'warning'}>{one.state}</Badge> },
          { title: 'Time', cell: (one) => <>{milliseconds(one.seconds * 1000)} <Used label="Of its time" used={one.seconds} most={one.timeout_s} /></>, isNumber: true },
          { title: 'Read', cell: (one) => bytes(one.read_bytes), isNumber: true },
          { title: 'Memory', cell: (one) => bytes(one.memory_bytes), isNumber: true },
          { title: '', cell: (one) => <button class="button" onClick={() => void cancel(one.id)}>Cancel</button> },
        ]} />
      <h3 class="sub">Ended lately</h3>
      <Table label="Queries that ended lately" rows={recent} rowKey={(one) => one.id} none="None since the start."
        columns={[
          ...ASKED,
          { title: 'When', cell: (one) => formatAgo(BigInt(Math.round(one.began_ns)), nowNs()) },
          { title: 'Took', cell: (one) => milliseconds(one.seconds * 1000), isNumber: true },
          { title: 'Read', cell: (one) => bytes(one.read_bytes), isNumber: true },
          { title: 'Outcome', cell: (one) => one.error ? <Badge kind="error">{visibleText(one.error)}</Badge> : <Badge kind="good">answered</Badge> },
        ]} />
    </Panel>
  );
}

const ASKED: readonly Column<OneQuery>[] = [
  {
    title: 'Query',
    cell: (one) => one.query
      ? <a class="mono" href={linkTo('logs', { q: one.query })}>{visibleText(one.query)}</a>
      : <span class="soft mono">{one.route}</span>,
  },
  { title: 'Who', cell: (one) => visibleText([one.who, ...one.tenants].filter(Boolean).join(' · ')) },
];
