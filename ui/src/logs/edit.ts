// A click on a value becomes a change of the query's text: only this, not this, this one too, without.
// Filters on stream labels go into the selector, others behind the parser that makes their field.
import { isName, parseLogQuery, quoted, type LogQuery, type Part, type Predicate, type Stage } from './logql.ts';

export const ALL_STREAMS = '{service_name=~".+"}';

export interface FieldRef {
  readonly name: string;
  readonly source: 'label' | 'metadata' | 'column' | 'parsed';
  readonly parser?: string | null | undefined;
}

export type How = 'only' | 'not' | 'or';

/** The query with one more filter; null where it cannot be said in this query. */
export function withValue(text: string, field: FieldRef, value: string, how: How): string | null {
  const query = parseLogQuery(text.trim() || ALL_STREAMS);
  if (!query || !isName(field.name)) return null;
  if (field.source === 'label') return inSelector(query, field.name, value, how);
  return inStages(query, field, value, how);
}

function inSelector(query: LogQuery, name: string, value: string, how: How): string | null {
  const own = query.matchers.filter((one) => one.name === name);
  const others = query.matchers.filter((one) => one.name !== name);
  if (how === 'not') {
    const rest = query.matchers.filter((one) => !(one.name === name && one.op === '=' && one.value === value));
    if (rest.some(isPositive)) return withMatchers(query, [...rest.map(written(query)), `${name}!=${quoted(value)}`]);
    return inStages(query, { name, source: 'metadata' }, value, 'not');
  }
  const before = how === 'or' ? own.flatMap(valuesOf) : [];
  const values = before.includes(value) ? before.filter((one) => one !== value) : [...before, value];
  const kept = how === 'or' ? own.filter((one) => !valuesOf(one).length) : [];
  const made = !values.length ? [] : [values.length === 1 ? `${name}=${quoted(values[0]!)}` : `${name}=~${quoted(values.map(escaped).join('|'))}`];
  const useful = others.filter((one) => !isAll(one) || !made.length);
  return withMatchers(query, [...useful.map(written(query)), ...kept.map(written(query)), ...made]);
}

function inStages(query: LogQuery, field: FieldRef, value: string, how: How): string {
  const same = query.stages.filter((stage) => stage.predicates[0]?.name === field.name);
  const sure = same.find((stage) => stage.predicates.every((one) => one.op === '='));
  if (how === 'not') {
    const there = sure && sure.predicates.length === 1 && sure.predicates[0]!.value === value ? [sure] : [];
    return added(without(query, there), field, `| ${field.name}!=${quoted(value)}`);
  }
  if (how === 'only') return added(without(query, same), field, `| ${field.name}=${quoted(value)}`);
  const before = sure?.predicates.map((one) => one.value) ?? [];
  const values = before.includes(value) ? before.filter((one) => one !== value) : [...before, value];
  const filter = values.map((one) => `${field.name}=${quoted(one)}`).join(' or ');
  const rest = without(query, sure ? [sure] : []);
  return values.length ? added(rest, field, `| ${filter}`) : rest;
}

/** `| duration_ms > 250 | duration_ms <= 900`: what a brush over a distribution means. */
export function withBounds(text: string, field: FieldRef, low: string | null, high: string | null): string | null {
  const query = parseLogQuery(text.trim() || ALL_STREAMS);
  if (!query || !isName(field.name)) return null;
  const bounds = query.stages.filter((s) => s.predicates[0]?.name === field.name && s.predicates.every((p) => /[<>]/.test(p.op)));
  const parts = [low === null ? '' : `| ${field.name} >= ${low}`, high === null ? '' : `| ${field.name} <= ${high}`];
  return added(without(query, bounds), field, parts.filter(Boolean).join(' '));
}

/** With a line filter behind those that are there. */
export function withLine(text: string, op: '|=' | '!=' | '|~' | '|>' | '!>', value: string): string | null {
  const query = parseLogQuery(text.trim() || ALL_STREAMS);
  if (!query) return null;
  const lines = query.stages.filter((stage) => stage.kind === 'line');
  const at = lines.at(-1)?.to ?? query.selector.to;
  return `${query.text.slice(0, at)} ${op} ${quoted(value)}${query.text.slice(at)}`;
}

/** Without some parts; a selector that would be empty means all streams. */
export function withoutPart(text: string, part: Part): string | null {
  const query = parseLogQuery(text);
  if (!query) return null;
  const matcher = query.matchers.find((one) => one.from === part.from);
  if (matcher) return withMatchers(query, query.matchers.filter((one) => one !== matcher).map(written(query)));
  return without(query, query.stages.filter((one) => one.from === part.from));
}

function withMatchers(query: LogQuery, matchers: readonly string[]): string {
  const selector = matchers.length ? `{${matchers.join(', ')}}` : ALL_STREAMS;
  return query.text.slice(0, query.selector.from) + selector + query.text.slice(query.selector.to);
}

function without(query: LogQuery, stages: readonly Stage[]): string {
  let text = query.text;
  for (const stage of [...stages].sort((a, b) => b.from - a.from)) {
    text = `${text.slice(0, stage.from).trimEnd()} ${text.slice(stage.to).trimStart()}`.trim();
  }
  return text;
}

/** Before what changes the line or takes samples, and behind the parser that makes the field. */
function added(text: string, field: FieldRef, filter: string): string {
  if (!filter) return text;
  const query = parseLogQuery(text)!;
  const hasParser = query.stages.some((stage) => stage.kind === 'parser');
  const needs = field.source === 'column' && field.parser && !hasParser ? `| ${field.parser} ` : '';
  const end = query.stages.find((stage) => stage.kind === 'other' && !['drop', 'keep', 'decolorize'].includes(stage.word));
  const at = end && !(end.word === 'label_format') ? end.from : text.length;
  return `${text.slice(0, at).trimEnd()} ${needs}${filter} ${text.slice(at)}`.trim();
}

const written = (query: LogQuery) => (one: Predicate): string => query.text.slice(one.from, one.to);

function isPositive(one: Predicate): boolean {
  return (one.op === '=' && one.value !== '') || (one.op === '=~' && !/^(?:\.\*|)$/.test(one.value));
}

function isAll(one: Predicate): boolean {
  return one.op === '=~' && (one.value === '.+' || one.value === '.*');
}

function escaped(value: string): string {
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
