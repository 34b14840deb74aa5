// The query of a page that is not Logs: a box that takes LogQL, and keeps it in the URL when it runs.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useKeys } from '../base/keys.ts';
import { runAgain } from '../base/range.ts';
import { go, useUrl } from '../base/url.ts';

interface Props {
  readonly label: string;
  readonly placeholder: string;
  /** The parameter of the URL. */
  readonly name?: string;
  readonly action?: string;
}

export function QueryBox({ label, placeholder, name = 'q', action = 'Run' }: Props) {
  const query = useUrl().params.get(name) ?? '';
  const [text, setText] = useState(query);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => setText(query), [query]);
  useKeys({ query: () => box.current?.focus() });
  return (
    <form class="query-box" onSubmit={(event) => { event.preventDefault(); go({ [name]: text.trim() }); runAgain(); }}>
      <textarea ref={box} class="mono" aria-label={label} placeholder={placeholder} value={text} spellcheck={false}
        rows={Math.min(8, text.split('\n').length)} onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') event.currentTarget.blur();
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          event.currentTarget.form!.requestSubmit();
        }} />
      <button class="button primary">{action}</button>
    </form>
  );
}
