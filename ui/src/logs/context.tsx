// The lines around one, of its stream or of a wider group, in one list with the line's own place marked.
import { useEffect, useState } from 'preact/hooks';
import { asApiError, isAbort, type ApiError } from '../base/api.ts';
import { formatTime, type Zone } from '../base/time.ts';
import { visibleLine } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { readContext, streamText, type Entry, type RawContextEntry } from './data.ts';
import { levelTokenOf } from './entry.ts';

interface Props {
  readonly entry: Entry;
  readonly zone: Zone;
  readonly marks: RegExp | null;
  readonly isNewestFirst: boolean;
  readonly lines: number;
}

interface Around {
  readonly before: readonly Entry[];
  readonly after: readonly Entry[];
  readonly cursorBefore: string | null;
  readonly cursorAfter: string | null;
}

const STEPS = [10, 50, 200];
const NOTHING: Around = { before: [], after: [], cursorBefore: null, cursorAfter: null };

export function Context({ entry, zone, marks, isNewestFirst, lines }: Props) {
  const [around, setAround] = useState<Around>(NOTHING);
  const [error, setError] = useState<ApiError | null>(null);
  const [labels, setLabels] = useState<string>('');
  const [isBusy, setBusy] = useState(true);
  useEffect(() => {
    const abort = new AbortController();
    setBusy(true);
    const where = { stream: entry.stream.text, ts: entry.ts, offset: entry.order, labels: labels || undefined };
    readContext({ ...where, before: lines, after: lines }, abort.signal).then(
      (answer) => {
        setAround({
          before: answer.before.map(entryOf), after: answer.after.map(entryOf),
          cursorBefore: answer.cursor_before, cursorAfter: answer.cursor_after,
        });
        setError(null);
        setBusy(false);
      },
      (reason: unknown) => {
        if (isAbort(reason)) return;
        setError(asApiError(reason));
        setBusy(false);
      },
    );
    return () => abort.abort();
  }, [entry, labels, lines]);

  async function more(side: 'before' | 'after', count: number): Promise<void> {
    const cursor = side === 'before' ? around.cursorBefore : around.cursorAfter;
    if (!cursor) return;
    setBusy(true);
    try {
      const answer = await readContext({ stream: entry.stream.text, labels: labels || undefined, cursor, [side]: count });
      setAround((was) => side === 'before'
        ? { ...was, before: [...answer.before.map(entryOf), ...was.before], cursorBefore: answer.cursor_before }
        : { ...was, after: [...was.after, ...answer.after.map(entryOf)], cursorAfter: answer.cursor_after });
    } catch (reason) {
      setError(asApiError(reason));
    } finally {
      setBusy(false);
    }
  }

  const oldestFirst = [...around.before.map((one) => ({ one, isOwn: false })), { one: entry, isOwn: true }, ...around.after.map((one) => ({ one, isOwn: false }))];
  const rows = isNewestFirst ? oldestFirst.reverse() : oldestFirst;
  const [top, bottom] = isNewestFirst ? (['after', 'before'] as const) : (['before', 'after'] as const);
  const names = Object.keys(entry.stream.labels);
  return (
    <div class="context" aria-label="Lines around this one" data-stale={isBusy ? '1' : undefined}>
      <div class="context-bar">
        <More side={top} cursor={top === 'before' ? around.cursorBefore : around.cursorAfter} more={more} />
        <label class="field">of{' '}
          <select value={labels} onChange={(event) => setLabels(event.currentTarget.value)}>
            <option value="">this stream</option>
            {names.map((name) => <option value={name}>every stream with {name}={JSON.stringify(entry.stream.labels[name])}</option>)}
          </select>
        </label>
      </div>
      {error && <ErrorBox error={error} />}
      <div class="context-rows">
        {rows.map(({ one, isOwn }, at) => (
          <div key={isOwn ? 'own' : `${at}`} class="context-row" data-level={levelTokenOf(one)} aria-current={isOwn ? 'true' : undefined}>
            <span class="num cell-time">{formatTime(one.ts, zone, 9).slice(11)}</span>
            {labels && <span class="soft context-stream cut">{otherLabels(one, entry)}</span>}
            <span class="cell-line">{visibleLine(one.line.slice(0, 2_000), marks, true)}</span>
          </div>
        ))}
      </div>
      <div class="context-bar"><More side={bottom} cursor={bottom === 'before' ? around.cursorBefore : around.cursorAfter} more={more} /></div>
    </div>
  );
}

function More({ side, cursor, more }: { side: 'before' | 'after'; cursor: string | null; more: (side: 'before' | 'after', count: number) => Promise<void> }) {
  if (!cursor) return <span class="hint">{side === 'before' ? 'Nothing earlier.' : 'Nothing later.'}</span>;
  return (
    <span class="context-more">
      <span class="soft">{side === 'before' ? 'earlier' : 'later'}</span>
      {STEPS.map((count) => <button class="button small" onClick={() => void more(side, count)}>+{count}</button>)}
    </span>
  );
}

/** What tells its stream from that of the line. */
function otherLabels(one: Entry, own: Entry): string {
  return Object.entries(one.stream.labels).filter(([name, value]) => own.stream.labels[name] !== value).map(([, value]) => value).join(' ');
}

export function entryOf(raw: RawContextEntry): Entry {
  return {
    ts: BigInt(raw.ts), line: raw.line, stream: { labels: raw.labels, text: streamText(raw.labels) },
    meta: raw.metadata ?? {}, parsed: {}, order: raw.order, length: raw.length ?? null,
  };
}
