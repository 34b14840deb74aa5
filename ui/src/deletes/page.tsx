// Remove lines for good: look at what would go, confirm it by its number, follow it, keep the receipt.
import { useState } from 'preact/hooks';
import { useAnswer } from '../base/answer.ts';
import { bytes, count } from '../base/numbers.ts';
import { useRange, type Range } from '../base/range.ts';
import { saveFile } from '../base/save.ts';
import { noteError } from '../base/session.ts';
import { formatTime, MS } from '../base/time.ts';
import { useUrl } from '../base/url.ts';
import { visible, visibleLine } from '../base/visible.tsx';
import type { ApiError } from '../base/api.ts';
import { ErrorBox } from '../controls/error_box.tsx';
import { Badge, Facts, Panel, Table } from '../controls/panel.tsx';
import { PageQuery } from '../query/box.tsx';
import { toast } from '../controls/toast.tsx';
import {
  cancelDelete, readDeletes, readPreview, readReceipt, requestDelete, wholeSeconds,
  type DeleteRequest, type PlainEntry, type Preview,
} from './data.ts';

const EVERY_MS = 3_000;
const SECOND = 1_000_000_000n;

export default function DeletesPage() {
  const query = useUrl().params.get('q') ?? '';
  const range = useRange();
  const list = useAnswer('', readDeletes, EVERY_MS);
  const { from, to } = wholeSeconds(range.start, range.end);
  const preview = useAnswer(query ? `${query} ${range.key}` : null, (signal) => readPreview(query, from * SECOND, to * SECOND, signal));
  return (
    <div class="page">
      <h1 class="sr-only">Deletes</h1>
      <PageQuery label="Which lines" placeholder={'{app="api"} |= "user=4711"   which lines are to go, in the range above'} action="Preview" />
      <div class="panels">
        {query && (
          <Panel title="What would go" wide>
            {preview.error && <ErrorBox error={preview.error} again={preview.again} />}
            {preview.isBusy && !preview.value && <p class="soft">Counting…</p>}
            {preview.value && !preview.error && (
              <Found preview={preview.value} range={range}
                confirm={() => requestDelete(query, range.start, range.end).then(list.again)} />
            )}
          </Panel>
        )}
        <Panel title="Requests" wide>
          {list.error && <ErrorBox error={list.error} again={list.again} />}
          <Requests rows={list.value ?? []} zone={range.zone} changed={list.again} />
        </Panel>
      </div>
    </div>
  );
}

interface FoundProps {
  readonly preview: Preview;
  readonly range: Range;
  readonly confirm: () => Promise<void>;
}

function Found({ preview, range, confirm }: FoundProps) {
  const [typed, setTyped] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  if (!preview.rows) return <p class="soft none">No line of the range matches: there is nothing to delete.</p>;
  const isRight = typed.replace(/[\s.,'’_]/g, '') === String(preview.rows);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (!isRight) return;
    confirm().then(
      () => { setTyped(''); setError(null); toast('The lines are hidden now and removed soon'); },
      (failed: unknown) => setError(noteError(failed)),
    );
  };
  const when = (one: PlainEntry | null): string => (one ? formatTime(BigInt(one.ts), range.zone, 3) : '');
  return (
    <>
      {preview.warnings.map((one) => <p key={one.text} class="notice" data-kind="warning">{visible(one.text)}</p>)}
      <Facts of={[
        ['Lines', <b>{count(preview.rows)}</b>],
        ['Text', bytes(preview.bytes)],
        ['Oldest', when(preview.oldest)],
        ['Newest', when(preview.newest)],
      ]} />
      <h3 class="sub">Some of them</h3>
      <div class="sample">
        {preview.sample.map((one, at) => <div key={at}>{when(one)} {visibleLine(one.line, null, true)}</div>)}
      </div>
      <form class="row-actions confirm" onSubmit={submit}>
        <label class="field">
          <span>To confirm, type <b class="num">{preview.rows}</b></span>
          <input inputMode="numeric" autocomplete="off" value={typed} aria-label="Number of lines that are to go"
            onInput={(event) => setTyped(event.currentTarget.value)} />
        </label>
        <button class="button danger" disabled={!isRight}>Delete {count(preview.rows)} lines</button>
        <span class="hint">They are hidden at once. Until they are removed from disk, the request can be cancelled.</span>
      </form>
      {error && <ErrorBox error={error} />}
    </>
  );
}

function Requests({ rows, zone, changed }: { rows: readonly DeleteRequest[]; zone: string; changed: () => void }) {
  const time = (ms: number): string => formatTime(BigInt(Math.round(ms)) * MS, zone);
  const cancel = (id: string): void => {
    cancelDelete(id).then(
      () => { toast('Cancelled: the lines are back'); changed(); },
      (error: unknown) => toast(noteError(error).text),
    );
  };
  const sorted = [...rows].sort((a, b) => b.created_at - a.created_at);
  return (
    <Table label="Delete requests" rows={sorted} rowKey={(one) => one.request_id} none="Nobody asked to delete anything."
      columns={[
        { title: 'Asked', cell: (one) => time(one.created_at) },
        { title: 'Lines', cell: (one) => <code>{visible(one.query)}</code> },
        { title: 'Range', cell: (one) => <>{time(one.start_time)}<br />{time(one.end_time)}</> },
        { title: 'State', cell: (one) => <Badge kind={one.status === 'processed' ? 'good' : 'warning'}>{one.status === 'processed' ? 'removed' : one.status}</Badge> },
        { title: 'Removed', cell: (one) => one.deleted_entries === null ? '' : <>{count(one.deleted_entries)} lines<br />{bytes(one.deleted_bytes ?? 0)}</>, isNumber: true },
        {
          title: '',
          cell: (one) => (
            <span class="actions">
              {one.status === 'received' && <button class="button" onClick={() => cancel(one.request_id)}>Cancel</button>}
              <button class="button quiet" onClick={() => void saveReceipt(one)}>Receipt</button>
            </span>
          ),
        },
      ]} />
  );
}

/** The receipt as a file of JSON. */
async function saveReceipt(one: DeleteRequest): Promise<void> {
  try {
    const receipt = await readReceipt(one.request_id);
    saveFile(JSON.stringify(receipt, null, 2), `narfi-delete-${one.request_id.replace(/\W/g, '')}.json`, 'application/json');
  } catch (error) {
    toast(noteError(error).text);
  }
}
