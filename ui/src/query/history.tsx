// Queries to come back to: those that were saved on the server for all, and those of this browser.
import { useEffect, useState } from 'preact/hooks';
import { asApiError, getJson, NARFI, request } from '../base/api.ts';
import { runAgain } from '../base/range.ts';
import { keep, kept } from '../base/store.ts';
import { go, urlStore } from '../base/url.ts';
import { visible, visibleText } from '../base/visible.tsx';
import { PackQuestions } from '../packs/questions.tsx';
import { Popover } from '../controls/popover.tsx';

interface Saved {
  readonly name: string;
  readonly query: string;
  readonly from: string;
  readonly to: string;
  readonly view: string;
  readonly columns: readonly string[];
}

const SHOWN = 50;
const place = (name: string): string => `${NARFI}/saved/${encodeURIComponent(name)}`;

export default function History({ run }: { run: (query: string) => void }) {
  return (
    <Popover label="History" align="right" buttonClass="button wide-only" title="Saved searches, and queries of before">
      {(close) => (
        <div class="history-box">
          <SavedList close={close} />
          <PackQuestions level="menu" close={close} />
          <h3>In this browser</h3>
          <Before close={close} run={run} />
        </div>
      )}
    </Popover>
  );
}

function SavedList({ close }: { close: () => void }) {
  const [all, setAll] = useState<readonly Saved[] | null>(null);
  const [name, setName] = useState('');
  const [told, setTold] = useState('');
  const load = (): Promise<void> =>
    getJson<{ saved: readonly Saved[] }>(`${NARFI}/saved`).then((answer) => setAll(answer.saved), (error: unknown) => setTold(asApiError(error).text));
  useEffect(() => void load(), []);
  const change = async (act: () => Promise<unknown>): Promise<void> => {
    try {
      await act();
      setTold('');
      setName('');
      await load();
    } catch (error) {
      setTold(asApiError(error).text);
    }
  };
  const { page, params } = urlStore.get();
  const query = params.get('q') ?? '';
  const current = {
    query, from: params.get('from') ?? 'now-1h', to: params.get('to') ?? 'now',
    view: params.get('v') ?? 'lines', columns: (params.get('c') ?? '').split(',').filter(Boolean),
  };
  const open = (one: Saved): void => {
    close();
    go({
      q: one.query, from: one.from || undefined, to: one.to || undefined, line: undefined,
      v: one.view === 'lines' ? undefined : one.view, c: one.columns.join(',') || undefined,
    }, { page: 'logs' });
    runAgain();
  };
  return (
    <>
      <h3>Saved for everybody</h3>
      {all?.length === 0 && <p class="hint">None yet.</p>}
      <div class="menu history">
        {all?.map((one) => (
          <div key={one.name} class="saved">
            <button type="button" onClick={() => open(one)} title={visibleText(one.query)}><b>{visible(one.name)}</b> <code class="cut soft">{visible(one.query)}</code></button>
            <button type="button" class="icon tiny" aria-label={`Delete ${visibleText(one.name)}`} title="Delete for everybody"
              onClick={() => void change(() => request(place(one.name), {}, { method: 'DELETE' }))}>×</button>
          </div>
        ))}
      </div>
      {query && page === 'logs' && (
        <div class="save-as">
          <input value={name} placeholder="name of this search" aria-label="Name of this search" onInput={(event) => setName(event.currentTarget.value)} />
          <button type="button" class="button" disabled={!name.trim()}
            onClick={() => void change(() => request(place(name.trim()), {}, { method: 'PUT', json: current }))}>Save</button>
        </div>
      )}
      {told && <p class="told-error" role="alert">{visible(told)}</p>}
    </>
  );
}

function Before({ close, run }: { close: () => void; run: (query: string) => void }) {
  const all = kept<string[]>('history', []);
  if (!all.length) return <p class="hint">No query yet.</p>;
  return (
    <div class="menu history">
      {all.slice(0, SHOWN).map((one) => (
        <button key={one} type="button" onClick={() => { close(); run(one); }} title={visibleText(one)}>
          <code class="cut">{visible(one)}</code>
        </button>
      ))}
      <button type="button" class="soft" onClick={() => { keep('history', []); close(); }}>Forget all</button>
    </div>
  );
}
