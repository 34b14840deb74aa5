// Everything that matches as a file, however much it is: the server streams it, the browser stores it,
// and the page asks the server how far it came, by an id that it made up.
import { useEffect, useState } from 'preact/hooks';
import { addressOf, asApiError, getJson, isAbort, NARFI, tenantName } from '../base/api.ts';
import { bytes, count } from '../base/numbers.ts';
import { visible } from '../base/visible.tsx';
import { Popover } from '../controls/popover.tsx';
import type { Ask } from './data.ts';

const FORMATS = [
  ['txt', 'Text', 'the lines alone, as logcli -o raw gives them'],
  ['jsonl', 'JSON lines', 'an object a line, the last one says whether it is complete'],
  ['csv', 'CSV', 'for spreadsheets; cells that could run are quoted'],
  ['parquet', 'Parquet', 'for DuckDB, Pandas, Polars'],
] as const;
const EVERY_MS = 700;
const MOST_MISSING = 8;

interface ExportState {
  readonly id: string;
  readonly state: 'running' | 'complete' | 'incomplete';
  readonly rows: number;
  readonly bytes: number;
  readonly reason: string | null;
  readonly warnings: readonly { readonly text: string }[];
}

export function Download({ ask, direction, opens }: { ask: Ask | null; direction: string; opens: number }) {
  const [id, setId] = useState('');
  if (!ask) return null;
  function begin(format: string, close: () => void): void {
    const fresh = newId();
    const link = document.createElement('a');
    link.href = addressOf(`${NARFI}/export`, { ...ask!, format, direction, id: fresh, tenant: tenantName() });
    link.download = '';
    link.click();
    setId(fresh);
    close();
  }
  return (
    <>
      <Popover label="Download" title="Everything that matches (d)" align="right" buttonClass="button small" opens={opens}>
        {(close) => (
          <div class="menu download">
            <p class="hint">Everything that matches in this range, not only what is shown.</p>
            {FORMATS.map(([format, title, about]) => (
              <button key={format} onClick={() => begin(format, close)}><b>{title}</b> <span class="soft">{about}</span></button>
            ))}
          </div>
        )}
      </Popover>
      {id && <Progress key={id} id={id} close={() => setId('')} />}
    </>
  );
}

function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, '0')).join('');
}

/** How far the export came, until it is at its end. */
function Progress({ id, close }: { id: string; close: () => void }) {
  const [state, setState] = useState<ExportState | null>(null);
  const [told, setTold] = useState('');
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let missing = 0;
    const look = async (): Promise<void> => {
      try {
        const found = await getJson<ExportState>(`${NARFI}/export/${id}`, {}, { signal: abort.signal });
        setState(found);
        setTold('');
        if (found.state !== 'running') return;
      } catch (error) {
        if (isAbort(error)) return;
        const failed = asApiError(error);
        if (failed.status === 404 && ++missing < MOST_MISSING) setTold('');
        else setTold(failed.status === 404 ? 'The server knows nothing of this download: was it refused, or is it another process?' : failed.text);
        if (missing >= MOST_MISSING) return;
      }
      timer = setTimeout(() => void look(), EVERY_MS);
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [id]);
  const size = state && `${count(state.rows)} lines, ${bytes(state.bytes)}`;
  return (
    <span class="export-state" role="status" data-kind={state?.state}>
      {told ? <span class="told-error">{visible(told)}</span>
        : !state ? 'The download begins…'
        : state.state === 'running' ? `Exporting: ${size} so far…`
        : state.state === 'complete' ? `Exported: ${size}`
        : <span class="told-error">Not whole: {size}. {visible(state.reason ?? '')}</span>}
      {state?.warnings.map((one) => <span key={one.text} class="told-error"> {visible(one.text)}</span>)}
      <button class="icon tiny" aria-label="Close the note about the download" onClick={close}>×</button>
    </span>
  );
}
