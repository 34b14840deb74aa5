// How much of each limit is used, and which setting would change it?
import { useAnswer } from '../base/answer.ts';
import { bytes, number } from '../base/numbers.ts';
import { ErrorBox } from '../controls/error_box.tsx';
import { Panel, Table, Used } from '../controls/panel.tsx';
import { readLimits, type Limit } from './data.ts';

const EVERY_MS = 10_000;

export function LimitsPanel() {
  const answer = useAnswer('', readLimits, EVERY_MS);
  const rows = [...(answer.value?.limits ?? []), ...(answer.value?.process ?? [])];
  const inUse = rows.filter((one) => one.used !== null);
  const others = rows.filter((one) => one.used === null);
  return (
    <Panel title="Limits" wide>
      {answer.error && <ErrorBox error={answer.error} again={answer.again} />}
      <Table label="Limits in use" rows={inUse} rowKey={(one) => one.setting} none="None of them is used now."
        columns={[
          { title: 'Limit', cell: (one) => one.name.replaceAll('_', ' ') },
          { title: 'Used', cell: (one) => shown(one.used, one.unit), isNumber: true },
          { title: 'Of', cell: (one) => shown(one.limit, one.unit), isNumber: true },
          { title: '', cell: (one) => <Used label={`Used of ${one.name}`} used={one.used ?? 0} most={Number(one.limit)} /> },
          { title: 'Setting', cell: (one) => <code>{one.setting}</code> },
        ]} />
      {others.length > 0 && (
        <details>
          <summary>{others.length} that are looked at in each request</summary>
          <Table label="Limits of single requests" rows={others} rowKey={(one) => one.setting} none=""
            columns={[
              { title: 'Limit', cell: (one) => one.name.replaceAll('_', ' ') },
              { title: 'Is', cell: (one) => shown(one.limit, one.unit), isNumber: true },
              { title: 'Setting', cell: (one) => <code>{one.setting}</code> },
            ]} />
        </details>
      )}
    </Panel>
  );
}

function shown(value: Limit['limit'], unit: string): string {
  if (typeof value === 'number') return unit === 'bytes' ? bytes(value) : `${number(value)} ${unit}`.trim();
  if (Array.isArray(value)) return value.length > 3 ? `${value.slice(0, 3).join(', ')}, …` : value.join(', ');
  return value === '' || value === null ? '–' : String(value);
}
