// Which filters does a query have? For chips and marks; and the query without one of them.
import { parseLogQuery, type LogQuery, type Part, type Predicate, type Stage } from './logql.ts';

export const ALL_STREAMS = '{service_name=~".+"}';

/** Without some parts; a selector that would be empty means all streams. */
export function withoutPart(text: string, part: Part): string | null {
  const query = parseLogQuery(text);
  if (!query) return null;
  const matcher = query.matchers.find((one) => one.from === part.from);
  if (matcher) return withMatchers(query, query.matchers.filter((one) => one !== matcher).map(written(query)));
  return without(query, query.stages.filter((one) => one.from === part.from));
}

/** Two parts of a query; what stands behind a comment begins a line. */
export function joined(...parts: readonly string[]): string {
  return parts.map((part) => part.trim()).filter(Boolean).reduce((all, part) => `${all}${/#[^\n]*$/.test(all) ? '\n' : ' '}${part}`);
}

/** Another selector in the place of this one; where it would ask for nothing sure, all streams are asked. */
export function withMatchers(query: LogQuery, matchers: readonly string[]): string {
  const found = parseLogQuery(`{${matchers.join(', ')}}`)?.matchers ?? [];
  const all = found.some(isPositive) ? matchers : [ALL_STREAMS.slice(1, -1), ...matchers];
  return `${query.text.slice(0, query.selector.from)}{${all.join(', ')}}${query.text.slice(query.selector.to)}`;
}

/** Whether streams without the label are left out, as one matcher of a selector has to. */
export function isPositive(one: Predicate): boolean {
  if (one.op === '=') return one.value !== '';
  if (one.op !== '=~') return false;
  try {
    return !new RegExp(`^(?:${one.value.replace(/^\(\?[a-z]+\)/, '')})$`, 'u').test('');
  } catch {
    return true; // RE2 knows more than browsers do: then it says
  }
}

export function without(query: LogQuery, stages: readonly Stage[]): string {
  let text = query.text;
  for (const stage of [...stages].sort((a, b) => b.from - a.from)) {
    text = joined(text.slice(0, stage.from), text.slice(stage.to));
  }
  return text;
}

export const written = (query: LogQuery) => (one: Predicate): string => query.text.slice(one.from, one.to);

export function isAll(one: Predicate): boolean {
  return one.op === '=~' && (one.value === '.+' || one.value === '.*');
}

export function escaped(value: string): string {
  return value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** The values that a matcher lets through, where they are a list. */
export function valuesOf(one: Predicate): string[] {
  if (one.op === '=') return [one.value];
  if (one.op !== '=~' || isAll(one)) return [];
  const parts = one.value.split(/(?<!\\)\|/);
  if (parts.some((part) => /(?<!\\)[.*+?^${}()[\]]/.test(part))) return [];
  return parts.map((part) => part.replace(/\\(.)/g, '$1'));
}

/** Which values of a field the query asks for. */
export function chosenValues(query: LogQuery | null, name: string): { only: string[]; not: string[] } {
  const all = [...(query?.matchers ?? []), ...(query?.stages.flatMap((stage) => stage.predicates) ?? [])];
  const own = all.filter((one) => one.name === name);
  return { only: own.flatMap(valuesOf), not: own.filter((one) => one.op === '!=').map((one) => one.value) };
}

/** What stands on a chip for each filter. */
export function chipsOf(query: LogQuery | null): { readonly part: Part; readonly text: string; readonly not: boolean }[] {
  if (!query) return [];
  const chip = (part: Part, not: boolean) => ({ part, not, text: query.text.slice(part.from, part.to).replace(/^\|\s+/, '') });
  return [
    ...query.matchers.filter((one) => !isAll(one)).map((one) => chip(one, one.op.startsWith('!'))),
    ...query.stages
      .filter((stage) => stage.kind === 'line' || stage.kind === 'label')
      .map((stage) => chip(stage, stage.word.startsWith('!') || stage.predicates[0]?.op.startsWith('!') === true)),
  ];
}

/** What the lines were searched for: marked where it is seen. */
export function searchedFor(query: LogQuery | null): RegExp | null {
  const parts: string[] = [];
  for (const stage of query?.stages ?? []) {
    if (stage.word === '|=') parts.push(...stage.texts.filter(Boolean).map(escaped));
    else if (stage.word === '|~') parts.push(...stage.texts.filter(Boolean).map((text) => text.replace(/^\(\?i\)/, '')));
  }
  if (!parts.length) return null;
  try {
    return new RegExp(parts.join('|'), query!.text.includes('(?i)') ? 'giu' : 'gu');
  } catch {
    return null; // RE2 knows more than browsers do
  }
}
