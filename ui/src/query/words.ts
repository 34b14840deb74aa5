// Plain words become LogQL: `timeout 503 -health "no route"`, and `level:error` or `status>=500`.
import { ALL_STREAMS } from '../logs/filters.ts';
import { isMetricQuery, isName, parseLogQuery, quoted } from '../logs/logql.ts';

/** What a typed text runs as; the text itself where it is LogQL. */
export function asLogQL(text: string, base = ALL_STREAMS): string {
  const typed = text.trim();
  if (!typed || isLogQL(typed)) return typed;
  const lines: string[] = [];
  const labels: string[] = [];
  for (const hit of typed.matchAll(/(-?)(?:"([^"]*)"?|(\S+))/g)) {
    const [, minus, phrase, word] = hit;
    const field = phrase === undefined ? /^([a-zA-Z_]\w*)(:|>=|<=|!=|>|<|=)(.+)$/.exec(word!) : null;
    if (field && isName(field[1]!)) labels.push(fieldFilter(field, minus === '-'));
    else if (phrase ?? word) lines.push(`${minus ? '!=' : '|='} ${quoted(phrase ?? word!)}`);
  }
  return [base, ...lines, ...labels].join(' ');
}

function fieldFilter([, name, op, value]: RegExpExecArray, isNot: boolean): string {
  const given = name === 'level' ? 'detected_level' : name!;
  const isOrder = /[<>]/.test(op!);
  const compares = isOrder ? op! : (op === '!=') !== isNot ? '!=' : '=';
  const isNumber = /^-?\d+(?:\.\d+)?(?:[a-zµ]+)?$/i.test(value!);
  return `| ${given} ${compares} ${isOrder && isNumber ? value : quoted(value!.replace(/^"|"$/g, ''))}`;
}

/** Whether a text is meant as LogQL, right or wrong. */
export function isLogQL(text: string): boolean {
  return /^\s*(?:#|\{)/.test(text) || isMetricQuery(text);
}

/** The selector of the query before, so that words are looked for where one is. */
export function selectorOf(text: string): string {
  const found = parseLogQuery(text);
  return found ? found.text.slice(found.selector.from, found.selector.to) : ALL_STREAMS;
}
