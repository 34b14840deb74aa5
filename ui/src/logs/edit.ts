// A click on a value becomes a change of the query's text: only this, not this, this one too.
// Filters on stream labels go into the selector, others behind the parser that makes their field.
import { ALL_STREAMS, escaped, isAll, isPositive, joined, valuesOf, without, withMatchers, written } from './filters.ts';
import { isName, parseLogQuery, quoted, type LogQuery } from './logql.ts';

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

/** The query's stages over one stream. */
export function ofStream(text: string, selector: string): string {
  const query = parseLogQuery(text);
  return query ? joined(selector, query.text.slice(query.selector.to)) : selector;
}

/** With a line filter behind those that are there. */
export function withLine(text: string, op: '|=' | '!=' | '|~' | '|>' | '!>', value: string): string | null {
  const query = parseLogQuery(text.trim() || ALL_STREAMS);
  if (!query) return null;
  const lines = query.stages.filter((stage) => stage.kind === 'line');
  const at = lines.at(-1)?.to ?? query.selector.to;
  return joined(query.text.slice(0, at), `${op} ${quoted(value)}`, query.text.slice(at));
}

/** Before what changes the line or takes samples, and behind the parser that makes the field. */
function added(text: string, field: FieldRef, filter: string): string {
  if (!filter) return text;
  const query = parseLogQuery(text)!;
  const hasParser = query.stages.some((stage) => stage.kind === 'parser');
  const needs = field.source === 'column' && field.parser && !hasParser ? `| ${field.parser} ` : '';
  const end = query.stages.find((stage) => stage.kind === 'other' && !['drop', 'keep', 'decolorize'].includes(stage.word));
  const at = end && !(end.word === 'label_format') ? end.from : text.length;
  return joined(text.slice(0, at), `${needs}${filter}`, text.slice(at));
}
