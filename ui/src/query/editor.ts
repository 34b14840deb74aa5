// The editor with colours, completion and marks, loaded after the first paint. It lives in a shadow root:
// there it uses style sheets that are made by script, which the page's policy allows.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, completionStatus, acceptCompletion, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewline } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, LRLanguage, LanguageSupport, syntaxHighlighting } from '@codemirror/language';
import { EditorState, Prec, RangeSetBuilder, StateEffect, StateField } from '@codemirror/state';
import { Decoration, EditorView, keymap, placeholder, type DecorationSet } from '@codemirror/view';
import { parser } from '@grafana/lezer-logql';
import { styleTags, tags } from '@lezer/highlight';
import { complete } from './complete.ts';
import type { Wrong } from './box.tsx';

export interface Editor {
  set(text: string): void;
  focus(): void;
  mark(wrong: Wrong | null): void;
  destroy(): void;
}

interface Options {
  readonly text: string;
  readonly change: (text: string) => void;
  readonly run: () => void;
  readonly fieldNames: () => readonly string[];
  readonly label: string;
  readonly placeholder: string;
}

const logql = LRLanguage.define({
  parser: parser.configure({
    props: [
      styleTags({
        'Json Logfmt Regexp Unpack Pattern LineFormat LabelFormat Label Unwrap Decolorize Drop Keep By Without Bool On Ignoring GroupLeft GroupRight Offset': tags.keyword,
        'Rate CountOverTime BytesRate BytesOverTime AvgOverTime SumOverTime MinOverTime MaxOverTime QuantileOverTime Sum Avg Count Max Min Stddev Stdvar Bottomk Topk': tags.function(tags.name),
        'Identifier LabelName': tags.propertyName,
        String: tags.string,
        'Number Duration Bytes': tags.number,
        'Eq Neq Re Nre Gtr Gte Lss Lte Eql PipeExact PipeMatch Pipe And Or Unless Add Sub Mul Div Mod Pow': tags.operator,
        LineComment: tags.comment,
      }),
    ],
  }),
  languageData: { commentTokens: { line: '#' }, closeBrackets: { brackets: ['(', '[', '{', '"', '`'] } },
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--series-6)' },
  { tag: tags.function(tags.name), color: 'var(--series-3)' },
  { tag: tags.propertyName, color: 'var(--link)' },
  { tag: tags.string, color: 'var(--accent)' },
  { tag: tags.number, color: 'var(--series-2)' },
  { tag: tags.operator, color: 'var(--soft)' },
  { tag: tags.comment, color: 'var(--soft)', fontStyle: 'italic' },
]);

const look = EditorView.theme({
  '&': { fontSize: '13px', color: 'var(--ink)', backgroundColor: 'transparent', maxHeight: '30vh' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '20px', overflow: 'auto' },
  '.cm-content': { padding: '5px 0', caretColor: 'var(--ink)' },
  '.cm-line': { padding: '0 10px' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)', borderLeftWidth: '2px' },
  '.cm-placeholder': { color: 'var(--soft)' },
  '.cm-selectionBackground, &.cm-focused .cm-selectionBackground, ::selection': { backgroundColor: 'var(--selected) !important' },
  '&:not(.cm-focused) .cm-matchingBracket': { backgroundColor: 'transparent' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--selected)', outline: '1px solid var(--line-strong)' },
  '.cm-wrong': { textDecoration: 'underline wavy var(--danger)', textUnderlineOffset: '3px' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', border: '1px solid var(--line-strong)', borderRadius: '6px', boxShadow: 'var(--shadow)', color: 'var(--ink)' },
  '.cm-tooltip-autocomplete ul': { fontFamily: 'var(--mono) !important', maxHeight: '16em !important' },
  '.cm-tooltip-autocomplete ul li': { padding: '3px 8px !important' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--selected) !important', color: 'var(--ink) !important' },
  '.cm-completionDetail': { color: 'var(--soft)', fontStyle: 'normal' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700' },
});

const setWrong = StateEffect.define<Wrong | null>();
const wrongMark = Decoration.mark({ class: 'cm-wrong' });

const wrongField = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, change) {
    let found = marks.map(change.changes);
    for (const effect of change.effects) if (effect.is(setWrong)) found = wrongMarks(effect.value, change.state.doc.toString());
    return found;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** From the place to the end of its word; at the end of the text the last character. */
function wrongMarks(wrong: Wrong | null, text: string): DecorationSet {
  if (!wrong || wrong.at === null || !text) return Decoration.none;
  const from = Math.min(wrong.at, text.length - 1);
  const word = /^[\w.]+|^\S/.exec(text.slice(from))?.[0].length ?? 1;
  const builder = new RangeSetBuilder<Decoration>();
  builder.add(from, Math.min(text.length, from + word), wrongMark);
  return builder.finish();
}

export function mountEditor(host: HTMLElement, options: Options): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  const place = document.createElement('div');
  root.append(place);
  let isOwnChange = false;
  const source = async (context: CompletionContext): Promise<CompletionResult | null> => {
    const found = await complete(context.state.doc.toString(), context.pos, context.explicit, options.fieldNames());
    return found && { from: found.from, options: found.options.map((one) => ({ ...one })), validFor: /^[\w.:-]*$/ };
  };
  const run = (): boolean => {
    options.run();
    return true;
  };
  const view = new EditorView({
    parent: place,
    root,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        Prec.highest(keymap.of([
          { key: 'Enter', run: (one) => (completionStatus(one.state) === 'active' && acceptCompletion(one)) || run() },
          { key: 'Shift-Enter', run: insertNewline },
          { key: 'Escape', run: (one) => { if (completionStatus(one.state)) return false; one.contentDOM.blur(); return true; } },
        ])),
        history(), bracketMatching(), closeBrackets(), wrongField,
        autocompletion({ override: [source], icons: false }),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap]),
        new LanguageSupport(logql), syntaxHighlighting(colours), look, EditorView.lineWrapping,
        placeholder(options.placeholder),
        EditorView.contentAttributes.of({ 'aria-label': options.label, spellcheck: 'false', autocapitalize: 'off' }),
        EditorView.updateListener.of((change) => {
          if (change.docChanged && !isOwnChange) options.change(change.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    set(text) {
      if (view.state.doc.toString() === text) return;
      isOwnChange = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.length } });
      isOwnChange = false;
    },
    focus: () => view.focus(),
    mark: (wrong) => view.dispatch({ effects: setWrong.of(wrong) }),
    destroy() {
      view.destroy();
      place.remove();
    },
  };
}
