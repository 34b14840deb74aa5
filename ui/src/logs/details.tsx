// All of one line: its text, its fields with what can be done with each, the lines around it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { asApiError, isAbort, type ApiError } from '../base/api.ts';
import { formatAgo, formatIso, formatTime, nowNs, type Zone } from '../base/time.ts';
import { visible, visibleLine, visibleText } from '../base/visible.tsx';
import { ErrorBox } from '../controls/error_box.tsx';
import { copyText, toast } from '../controls/toast.tsx';
import { patternOf } from '../patterns/data.ts';
import { Context } from './context.tsx';
import { readContext, type Ask, type Entry } from './data.ts';
import { ofStream, withLine, withValue, type How } from './edit.ts';
import { asCurl, asJson, asLogcli, fieldsOf, isTrace, plainLine, type EntryField } from './entry.ts';
import { isName } from './logql.ts';
import { Pretty } from './rows.tsx';

interface Props {
  readonly entry: Entry;
  readonly ask: Ask;
  readonly zone: Zone;
  readonly marks: RegExp | null;
  readonly isNewestFirst: boolean;
  readonly columns: readonly string[];
  readonly link: string;
  readonly setQuery: (query: string, span?: 'wide') => void;
  readonly toggleColumn: (name: string) => void;
  readonly showTop: (name: string) => void;
  /** Lines around it, at once. */
  readonly context: number;
  readonly setContext: (lines: number) => void;
  readonly close: () => void;
}

const MAX_SHOWN = 20_000;

export function Details(props: Props) {
  const { entry, ask, zone } = props;
  const [isRaw, setRaw] = useState(false);
  const whole = useWhole(entry);
  const fields = fieldsOf(whole.entry);
  const filter = (field: EntryField, how: How): void => {
    const next = withValue(ask.query, field, field.value, how);
    if (next) props.setQuery(next);
  };
  const trace = fields.find(isTrace);
  return (
    <div class="details" role="gridcell" onKeyDown={(event) => event.key === 'Escape' && (event.stopPropagation(), props.close())}>
      <div class="details-bar">
        <b class="num">{formatTime(entry.ts, zone, 9)}</b>
        <span class="soft">{formatIso(entry.ts, zone).slice(-6).replace(/^.*(Z|[+-]\d\d:\d\d)$/, '$1')} · {formatAgo(entry.ts, nowNs())}</span>
        <span class="spring" />
        <button class="button small" aria-pressed={props.context > 0} onClick={() => props.setContext(props.context ? 0 : 10)}>Context</button>
        <MoreLikeThis entry={whole.entry} ask={ask} setQuery={props.setQuery} />
        {trace && <button class="button small" title={`Lines of every service with ${visibleText(trace.value)}`}
          onClick={() => props.setQuery(withLine('', '|=', trace.value)!, 'wide')}>Same {visibleText(trace.name)}</button>}
        <button class="button small" onClick={() => void copyText(plainLine(whole.entry), 'line')}>Copy line</button>
        <button class="button small" onClick={() => void copyText(asJson(whole.entry), 'JSON')}>JSON</button>
        <button class="button small" onClick={() => void copyText(props.link, 'link to this line')}>Link</button>
        <button class="button small" onClick={() => void copyText(asCurl(ask.query, ask.start, ask.end), 'curl')}>curl</button>
        <button class="button small" onClick={() => void copyText(asLogcli(ask.query, ask.start, ask.end), 'logcli')}>logcli</button>
        <button class="icon" aria-label="Close details" title="Close (Esc)" onClick={props.close}>×</button>
      </div>
      {whole.error && <ErrorBox error={whole.error} />}
      <div class="details-line">
        <LongText text={whole.entry.line} isRaw={isRaw} marks={props.marks} />
        {/^\s*[{[]/.test(whole.entry.line) && <button class="link" onClick={() => setRaw(!isRaw)}>{isRaw ? 'Laid out' : 'As it came'}</button>}
      </div>
      {props.context > 0 && <Context {...props} lines={props.context} />}
      <FieldTable fields={fields} {...props} filter={filter} />
    </div>
  );
}

/** Lines of the same pattern: the server tells the patterns of the line's stream, one of them is that of the line. */
function MoreLikeThis({ entry, ask, setQuery }: Pick<Props, 'entry' | 'ask' | 'setQuery'>) {
  const [isBusy, setBusy] = useState(false);
  const abort = useRef(new AbortController());
  useEffect(() => () => abort.current.abort(), []);
  const find = async (): Promise<void> => {
    setBusy(true);
    try {
      const pattern = await patternOf(entry.line, ofStream(ask.query, entry.stream.text), ask.start, ask.end, abort.current.signal);
      const next = pattern && withLine(ask.query, '|>', pattern);
      if (next) setQuery(next);
      else toast('No pattern: no other line of this stream is like it');
    } catch (error) {
      if (!isAbort(error)) toast(asApiError(error).text);
    } finally {
      setBusy(false);
    }
  };
  return <button class="button small" disabled={isBusy} title="Lines of the same pattern" onClick={() => void find()}>{isBusy ? 'Looking…' : 'More like this'}</button>;
}

/** A long text to a length that browsers show well, and the rest when it is asked for. */
function LongText({ text, isRaw, marks }: { text: string; isRaw: boolean; marks: RegExp | null }) {
  const [all, setAll] = useState(false);
  const shown = all || text.length <= MAX_SHOWN ? text : text.slice(0, MAX_SHOWN);
  return (
    <>
      <pre class="whole" tabIndex={0} aria-label="The whole line">{isRaw ? visibleLine(shown, marks) : <Pretty text={shown} marks={marks} />}</pre>
      {shown.length < text.length && <button class="link" onClick={() => setAll(true)}>Show all {text.length.toLocaleString()} characters</button>}
    </>
  );
}

/** The list holds the first 2,000 bytes of a long line; here all of it is asked for. */
function useWhole(entry: Entry): { entry: Entry; error: ApiError | null } {
  const [found, setFound] = useState<{ entry: Entry; error: ApiError | null }>({ entry, error: null });
  useEffect(() => {
    setFound({ entry, error: null });
    if (entry.length === null) return undefined;
    const abort = new AbortController();
    readContext({ stream: entry.stream.text, ts: entry.ts, offset: entry.order, before: 0, after: 0, max_line_bytes: 0 }, abort.signal).then(
      (answer) => answer.own && setFound({ entry: { ...entry, line: answer.own.line, length: null }, error: null }),
      (error: unknown) => !isAbort(error) && setFound({ entry, error: asApiError(error) }),
    );
    return () => abort.abort();
  }, [entry]);
  return found;
}

const SOURCES: Record<EntryField['source'], string> = { label: 'label', metadata: 'metadata', parsed: 'parsed', column: 'in the line' };
const MANY = 200;

function FieldTable({ fields, columns, filter, toggleColumn, showTop }: Props & { fields: EntryField[]; filter: (field: EntryField, how: How) => void }) {
  const [all, setAll] = useState(false);
  const shown = all ? fields : fields.slice(0, MANY);
  return (
    <table class="field-table">
      <thead class="sr-only"><tr><th>What to do</th><th>Field</th><th>Value</th><th>From</th></tr></thead>
      <tbody>
        {shown.map((field) => {
          const name = visibleText(field.name);
          const usable = isName(field.name);
          return (
            <tr key={field.source + field.name}
              onKeyDown={(event) => {
                if (event.key === 'x' || event.key === '-') {
                  event.preventDefault();
                  filter(field, event.key === 'x' ? 'only' : 'not');
                }
              }}>
              <td class="field-do">
                <button class="icon tiny" disabled={!usable} title="Only this (x)" aria-label={`Only this ${name}`} onClick={() => filter(field, 'only')}>=</button>
                <button class="icon tiny" disabled={!usable} title="Not this (-)" aria-label={`Not this ${name}`} onClick={() => filter(field, 'not')}>≠</button>
                <button class="icon tiny" aria-pressed={columns.includes(field.name)} title="Column of the table" aria-label={`${name} as a column`} onClick={() => toggleColumn(field.name)}>⊞</button>
                <button class="icon tiny" title="Most frequent values" aria-label={`Most frequent values of ${name}`} onClick={() => showTop(field.name)}>∑</button>
              </td>
              <th scope="row">{visible(field.name)}</th>
              <td class="field-value"><Value field={field} /></td>
              <td class="soft">{SOURCES[field.source]}</td>
            </tr>
          );
        })}
        {shown.length < fields.length && <tr><td colSpan={4}><button class="link" onClick={() => setAll(true)}>Show all {fields.length.toLocaleString()} fields</button></td></tr>}
      </tbody>
    </table>
  );
}

const LONG = 2_000;

/** Addresses can be followed here, of http and https alone. */
function Value({ field }: { field: EntryField }) {
  const text = field.value.slice(0, LONG);
  const isAddress = /^https?:\/\/[^\s]+$/.test(text) && URL.canParse(text);
  return (
    <>
      {isAddress ? <a href={text} target="_blank" rel="noopener noreferrer">{visible(text)}</a> : visible(text)}
      {field.value.length > LONG && <span class="soft"> … {field.value.length.toLocaleString()} characters</span>}
      <button class="link copy-value" title="Copy the value" aria-label={`Copy ${visibleText(field.name)}`} onClick={() => void copyText(field.value, field.name)}>copy</button>
    </>
  );
}
