// Everything that matches as a file, however much it is: the server streams it, the browser stores it.
import { useState } from 'preact/hooks';
import { addressOf, asApiError, NARFI, request, tenantName } from '../base/api.ts';
import { saveFile } from '../base/save.ts';
import { sessionStore } from '../base/session.ts';
import { visible } from '../base/visible.tsx';
import { Popover } from '../controls/popover.tsx';
import { toast } from '../controls/toast.tsx';
import type { Ask } from './data.ts';

const FORMATS = [
  ['txt', 'Text', 'the lines alone, as logcli -o raw gives them'],
  ['jsonl', 'JSON lines', 'an object a line, the last one says whether it is complete'],
  ['csv', 'CSV', 'for spreadsheets; cells that could run are quoted'],
  ['parquet', 'Parquet', 'for DuckDB, Pandas, Polars'],
] as const;

export function Download({ ask, direction, opens }: { ask: Ask | null; direction: string; opens: number }) {
  const [busy, setBusy] = useState('');
  const [told, setTold] = useState('');
  if (!ask) return null;
  const params = (format: string) => ({ ...ask, format, direction });
  // A link cannot carry the tenant's header: then the answer is read here and stored as a whole.
  const isLink = sessionStore.get()?.tenancy === 'single' || !tenantName();
  async function fetchAll(format: string, close: () => void): Promise<void> {
    setBusy(format);
    setTold('');
    try {
      const answer = await request(`${NARFI}/export`, params(format));
      const name = /filename="?([^"]+)"?/.exec(answer.headers.get('Content-Disposition') ?? '')?.[1] ?? `narfi.${format}`;
      saveFile(await answer.blob(), name);
      close();
    } catch (error) {
      setTold(asApiError(error).text);
    } finally {
      setBusy('');
    }
  }
  return (
    <Popover label="Download" title="Everything that matches (d)" align="right" buttonClass="button small" opens={opens}>
      {(close) => (
        <div class="menu download">
          <p class="hint">Everything that matches in this range, not only what is shown.</p>
          {FORMATS.map(([format, title, about]) => isLink ? (
            <a key={format} href={addressOf(`${NARFI}/export`, params(format))} download="" onClick={() => { toast('The download begins'); close(); }}>
              <b>{title}</b> <span class="soft">{about}</span>
            </a>
          ) : (
            <button key={format} disabled={busy !== ''} onClick={() => void fetchAll(format, close)}>
              <b>{title}{busy === format ? ' …' : ''}</b> <span class="soft">{about}</span>
            </button>
          ))}
          {told && <p class="told-error">{visible(told)}</p>}
        </div>
      )}
    </Popover>
  );
}
