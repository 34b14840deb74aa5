// Text of logs as a person may safely read it: characters that cannot be seen, or that turn the order
// of others around, are shown by their number. Only text nodes are made of it.
import type { ComponentChildren } from 'preact';
import { ansiPieces, hasAnsi, stripAnsi } from './ansi.ts';

// Controls but tab and line feed, format characters (zero width, direction), separators, halves of pairs.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\u115f\u1160\u3164\uffa0]/u;
const EACH_UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\u115f\u1160\u3164\uffa0]/gu;

export function codeName(char: string): string {
  return `U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** What is seen, as plain text: for titles and names that go where no markup does. */
export function visibleText(text: string): string {
  if (!UNSEEN.test(text)) return text;
  return text.replace(EACH_UNSEEN, (char) => (char === '\t' || char === '\n' ? char : `⟨${codeName(char)}⟩`));
}

/** The same with marks around the numbers, and around what was searched for. */
export function visible(text: string, marks: RegExp | null = null, oneLine = false): ComponentChildren {
  if (!marks) return unseen(text, oneLine);
  const found: ComponentChildren[] = [];
  let from = 0;
  for (const hit of text.matchAll(marks)) {
    if (!hit[0]) continue;
    if (hit.index > from) found.push(unseen(text.slice(from, hit.index), oneLine));
    found.push(<mark>{unseen(hit[0], oneLine)}</mark>);
    from = hit.index + hit[0].length;
  }
  if (!found.length) return unseen(text, oneLine);
  if (from < text.length) found.push(unseen(text.slice(from), oneLine));
  return found;
}

function unseen(text: string, oneLine: boolean): ComponentChildren {
  if (!UNSEEN.test(text)) return text;
  const found: ComponentChildren[] = [];
  let from = 0;
  for (const one of text.matchAll(EACH_UNSEEN)) {
    const char = one[0];
    if (char === '\t' || (char === '\n' && !oneLine)) continue;
    if (one.index > from) found.push(text.slice(from, one.index));
    found.push(<span class="unseen">{char === '\n' ? '↵' : codeName(char)}</span>);
    from = one.index + char.length;
  }
  if (!found.length) return text;
  if (from < text.length) found.push(text.slice(from));
  return found;
}

/** A line: its colours where it has some, else as `visible`. */
export function visibleLine(text: string, marks: RegExp | null = null, oneLine = false): ComponentChildren {
  if (!hasAnsi(text)) return visible(text, marks, oneLine);
  return ansiPieces(text).map((piece) =>
    piece.look ? <span class={piece.look}>{visible(piece.text, marks, oneLine)}</span> : visible(piece.text, marks, oneLine),
  );
}

export { stripAnsi };
