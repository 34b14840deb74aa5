// What may stand at the cursor? Names and values of labels from the server, stages, fields, functions.
import { getJson, LOKI } from '../base/api.ts';
import { currentRange } from '../base/range.ts';

export interface Option {
  readonly label: string;
  readonly detail?: string;
  readonly apply?: string;
}

export interface Completion {
  readonly from: number;
  readonly options: readonly Option[];
}

const STAGES: readonly Option[] = [
  { label: 'json', detail: 'fields of JSON lines' }, { label: 'logfmt', detail: 'fields of key=value lines' },
  { label: 'pattern', detail: '<ip> - <_> …', apply: 'pattern `' }, { label: 'regexp', detail: 'named groups', apply: 'regexp `' },
  { label: 'unpack' }, { label: 'line_format', detail: 'another line', apply: 'line_format `{{.' },
  { label: 'label_format', detail: 'rename a label' }, { label: 'decolorize' }, { label: 'drop' }, { label: 'keep' }, { label: 'unwrap', detail: 'a number of the line' },
];
const FUNCTIONS = ['sum by () (', 'count_over_time(', 'rate(', 'bytes_rate(', 'bytes_over_time(', 'sum_over_time(', 'avg_over_time(', 'max_over_time(', 'min_over_time(', 'quantile_over_time(', 'topk(', 'bottomk(', 'avg by () (', 'max by () (', 'absent_over_time('];
const MOST_VALUES = 500;

export async function complete(text: string, at: number, isAsked: boolean, fields: readonly string[]): Promise<Completion | null> {
  const before = text.slice(0, at);
  const braces = before.lastIndexOf('{') > before.lastIndexOf('}');
  if (braces) {
    const value = /([a-zA-Z_]\w*)\s*(?:=~|!=|!~|=)\s*(["`])([^"`]*)$/.exec(before);
    if (value) return valuesOf(value[1]!, value[2]!, at - value[3]!.length, text.slice(at).startsWith(value[2]!), otherMatchers(text, value[1]!));
    const name = /[{,]\s*([a-zA-Z_]\w*)?$/.exec(before);
    if (!name) return null;
    const names = await ask<string[]>(`${LOKI}/labels`);
    return { from: at - (name[1]?.length ?? 0), options: names.map((label) => ({ label, apply: `${label}="` })) };
  }
  const stage = /\|\s*([a-zA-Z_]\w*)?$/.exec(before);
  if (stage) {
    const own = fields.map((label) => ({ label, detail: 'field', apply: `${label}=` }));
    return { from: at - (stage[1]?.length ?? 0), options: [...STAGES, ...own] };
  }
  const word = /(?:^|[\s(])([a-z_]+)$/.exec(before);
  if (word || (isAsked && !before.trim())) {
    const from = at - (word?.[1]!.length ?? 0);
    return before.trim() && !isAsked && !/^[\s(]*[a-z_]+$/.test(before) ? null : { from, options: [{ label: '{', detail: 'streams' }, ...FUNCTIONS.map((label) => ({ label }))] };
  }
  return null;
}

async function valuesOf(name: string, quote: string, from: number, isClosed: boolean, query: string): Promise<Completion> {
  const values = await ask<string[]>(`${LOKI}/label/${encodeURIComponent(name)}/values`, query ? { query } : {});
  const written = (value: string): string => (quote === '"' ? JSON.stringify(value).slice(1, -1) : value);
  return { from, options: values.slice(0, MOST_VALUES).map((label) => ({ label, apply: written(label) + (isClosed ? '' : quote) })) };
}

/** The other matchers of the selector: only values that go with them are of use. */
function otherMatchers(text: string, name: string): string {
  const found = [...text.matchAll(/([a-zA-Z_]\w*)\s*(=~|!=|!~|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g)];
  const inside = found.filter((one) => one[1] !== name && text.lastIndexOf('{', one.index) >= 0 && text.indexOf('}') > one.index);
  return inside.length ? `{${inside.map((one) => one[0]).join(', ')}}` : '';
}

const answers = new Map<string, { at: number; data: Promise<unknown> }>();
const FRESH_MS = 30_000;

async function ask<T>(path: string, params: Record<string, string> = {}): Promise<T> {
  const { start, end } = currentRange();
  const key = `${path} ${JSON.stringify(params)}`;
  const known = answers.get(key);
  if (known && Date.now() - known.at < FRESH_MS) return known.data as Promise<T>;
  const data = getJson<{ data?: T }>(path, { ...params, start, end }).then((answer) => answer.data ?? ([] as T), () => [] as T);
  answers.set(key, { at: Date.now(), data });
  if (answers.size > 200) answers.clear();
  return data;
}

