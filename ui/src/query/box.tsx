// The one box for queries: LogQL or plain words, what these run as, what the server says is wrong, history.
import { useEffect, useRef, useState } from 'preact/hooks';
import { isAbort, asApiError } from '../base/api.ts';
import { useKeys } from '../base/keys.ts';
import { runAgain } from '../base/range.ts';
import { keep, kept } from '../base/store.ts';
import { go, useUrl } from '../base/url.ts';
import { visible } from '../base/visible.tsx';
import { lazy } from '../base/lazy.tsx';
import { formatQuery } from '../logs/data.ts';
import type { Editor } from './editor.ts';
import { asLogQL, isLogQL } from './words.ts';

interface Props {
  readonly query: string;
  readonly run: (query: string) => void;
  readonly label?: string;
  readonly placeholder?: string;
  /** What the button says. */
  readonly action?: string;
  /** Words become a query for lines; else a text is LogQL. */
  readonly takesWords?: boolean;
  readonly isBusy?: boolean;
  readonly stop?: () => void;
  /** Fields that are known, for completion. */
  readonly fieldNames?: readonly string[];
}

const History = lazy(async () => (await import('./history.tsx')).default);
const MOST_HISTORY = 200;
const CHECK_MS = 250;

export interface Wrong {
  readonly text: string;
  /** Characters of the query. */
  readonly at: number | null;
}

const LABEL = 'Query: LogQL, or words to look for';
const PLACEHOLDER = 'Words to look for, or LogQL: {app="api"} |= "timeout"';
const NONE: readonly string[] = [];

/** The box of a page whose query is `q` of the URL. */
export function PageQuery(props: Omit<Props, 'query' | 'run'>) {
  const query = useUrl().params.get('q') ?? '';
  return <QueryBox {...props} query={query} run={(text) => { go({ q: text }); runAgain(); }} />;
}

export function QueryBox(props: Props) {
  const { query, isBusy = false, run, stop, label = LABEL, placeholder = PLACEHOLDER, action = 'Run', takesWords = true } = props;
  const fieldNames = props.fieldNames ?? NONE;
  const [text, setText] = useState(query);
  const area = useRef<HTMLTextAreaElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const [isRich, setRich] = useState(false);
  const wrong = useCheck(text, takesWords);
  const latest = useRef({ text, fieldNames });
  latest.current = { text, fieldNames };
  useEffect(() => {
    setText(query);
    editor.current?.set(query);
  }, [query]);
  useKeys({ query: () => (editor.current ?? area.current)?.focus() });
  const send = (): void => {
    const full = takesWords ? asLogQL(latest.current.text) : latest.current.text.trim();
    if (full) note(full);
    setText(full);
    editor.current?.set(full);
    run(full);
  };
  const sendLatest = useRef(send);
  sendLatest.current = send;

  useEffect(() => {
    let isGone = false;
    const load = async (): Promise<void> => {
      const { mountEditor } = await import('./editor.ts');
      if (isGone || !host.current) return;
      const hadFocus = document.activeElement === area.current;
      editor.current = mountEditor(host.current, {
        text: latest.current.text,
        change: setText,
        run: () => sendLatest.current(),
        fieldNames: () => latest.current.fieldNames,
        label,
        placeholder,
      });
      setRich(true);
      if (hadFocus) editor.current.focus();
    };
    const idle = 'requestIdleCallback' in window ? requestIdleCallback(() => void load().catch(() => undefined), { timeout: 3000 }) : setTimeout(() => void load().catch(() => undefined), 500);
    return () => {
      isGone = true;
      if ('cancelIdleCallback' in window) cancelIdleCallback(idle as number);
      editor.current?.destroy();
      editor.current = null;
    };
  }, []);
  useEffect(() => editor.current?.mark(wrong), [wrong, isRich]);

  const runsAs = takesWords && text.trim() && !isLogQL(text) ? asLogQL(text) : '';
  return (
    <form class="ask" onSubmit={(event) => { event.preventDefault(); send(); }}>
      <div class="ask-box" data-wrong={wrong ? '1' : undefined}>
        <div ref={host} class="ask-editor" hidden={!isRich} />
        {!isRich && <textarea ref={area} aria-label={label} placeholder={placeholder}
          spellcheck={false} autocapitalize="off" rows={Math.min(8, text.split('\n').length)} value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.shiftKey) {
              event.preventDefault();
              send();
            } else if (event.key === 'Escape') event.currentTarget.blur();
          }} />}
        {runsAs && <p class="ask-note"><span class="soft">runs as</span> <code>{visible(runsAs)}</code></p>}
        {wrong && <p class="ask-note told-error" role="status">{visible(wrong.text)}</p>}
      </div>
      {isBusy ? <button type="button" class="button" onClick={stop}>Stop</button> : <button class="button primary">{action}</button>}
      <History run={(one) => { setText(one); run(one); }} />
    </form>
  );
}

/** What `format_query` says, a moment after the last key; words are not looked at. */
function useCheck(text: string, takesWords: boolean): Wrong | null {
  const [wrong, setWrong] = useState<Wrong | null>(null);
  useEffect(() => {
    if (!text.trim() || (takesWords && !isLogQL(text))) {
      setWrong(null);
      return undefined;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      formatQuery(text, abort.signal).then(
        () => setWrong(null),
        (error: unknown) => {
          const found = asApiError(error);
          if (!isAbort(error)) setWrong(found.status === 400 ? { text: found.text, at: placeOf(found.text, text) } : null);
        },
      );
    }, CHECK_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text]);
  return wrong;
}

/** `line 1, col 30` as a number of characters from the beginning. */
function placeOf(told: string, text: string): number | null {
  const found = /line (\d+), col(?:umn)? (\d+)/.exec(told);
  if (!found) return null;
  const lines = text.split('\n');
  const before = lines.slice(0, Number(found[1]) - 1).reduce((sum, line) => sum + line.length + 1, 0);
  return Math.min(text.length, before + Number(found[2]) - 1);
}

function note(query: string): void {
  const before = kept<string[]>('history', []).filter((one) => one !== query);
  keep('history', [query, ...before].slice(0, MOST_HISTORY));
}
