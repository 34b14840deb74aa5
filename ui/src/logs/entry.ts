// What is in one line? Its fields with where they come from, its level, its name in links and copies.
import { BASE, tenantName } from '../base/api.ts';
import { levelOf } from '../base/theme.ts';
import { formatIso, type Ns } from '../base/time.ts';
import { stripAnsi } from '../base/ansi.ts';
import type { Entry, Labels } from './data.ts';
import type { FieldRef } from './edit.ts';
import { jsonFields, logfmtFields } from './json_text.ts';

export interface EntryField extends FieldRef {
  readonly value: string;
}

const SERVICE_LABELS = ['service_name', 'service', 'app', 'container', 'job', 'filename'];

export function serviceOf(labels: Labels): string {
  for (const name of SERVICE_LABELS) {
    const value = labels[name];
    if (value && value !== 'unknown_service') return value;
  }
  return '';
}

/** The level that the line has, as it calls it; of access lines what the status says. */
export function levelNameOf(entry: Entry): string {
  const { meta, parsed, stream, line } = entry;
  const told = meta['detected_level'] ?? parsed['detected_level'] ?? parsed['level'] ?? stream.labels['level'] ?? '';
  return told === '' || told === 'unknown' ? (levelOfStatus(line) ?? told) : told;
}

/** As the histogram does where a line has no level: 5xx is an error, 4xx a warning. */
function levelOfStatus(line: string): string | undefined {
  const status = /" ([1-5])\d\d (?:\d|-)|"status(?:_code)?": ?"?([1-5])\d\d\b|\bstatus(?:_code)?=([1-5])\d\d\b/.exec(line.slice(0, 1_000));
  const first = status && (status[1] ?? status[2] ?? status[3]);
  return first ? (first === '5' ? 'error' : first === '4' ? 'warn' : 'info') : undefined;
}

export const levelTokenOf = (entry: Entry): string => levelOf(levelNameOf(entry));

/** Labels, metadata, fields of the query's parsers, then those that a parser would find. */
export function fieldsOf(entry: Entry): EntryField[] {
  const found: EntryField[] = [];
  const add = (source: EntryField['source'], values: Labels, parser: string | null = null): void => {
    const known = new Set(found.map((one) => one.name));
    for (const name of Object.keys(values).sort()) if (!known.has(name)) found.push({ name, source, value: values[name]!, parser });
  };
  add('label', entry.stream.labels);
  add('metadata', entry.meta);
  add('parsed', entry.parsed);
  if (!Object.keys(entry.parsed).length) {
    const json = jsonFields(entry.line);
    if (json) add('column', json, 'json');
    else {
      const logfmt = logfmtFields(entry.line);
      if (logfmt) add('column', logfmt, 'logfmt');
    }
  }
  return found;
}

export function valueOf(entry: Entry, name: string): string | undefined {
  const own = entry.stream.labels[name] ?? entry.meta[name] ?? entry.parsed[name];
  if (own !== undefined) return own;
  return (jsonFields(entry.line) ?? logfmtFields(entry.line))?.[name];
}

/** `<stream>:<ns>:<order>`: a line of the hash. */
export function lineName(entry: Entry): string {
  return `${entry.stream.text}:${entry.ts}:${entry.order}`;
}

export function parseLineName(text: string): { stream: string; ts: Ns; order: number } | null {
  const found = /^(\{[\s\S]*\}):(\d+):(\d+)$/.exec(text);
  return found ? { stream: found[1]!, ts: BigInt(found[2]!), order: Number(found[3]) } : null;
}

export function asJson(entry: Entry): string {
  const { stream, ts, line, meta, parsed } = entry;
  return JSON.stringify({ time: formatIso(ts), ts: String(ts), line, labels: stream.labels, metadata: meta, parsed }, null, 2);
}

const shell = (text: string): string => `'${text.replace(/'/g, `'\\''`)}'`;

export function asCurl(query: string, start: Ns, end: Ns, limit = 1000): string {
  const tenant = tenantName() ? ` -H ${shell(`X-Scope-OrgID: ${tenantName()}`)}` : '';
  return `curl -sG ${location.origin}${BASE}loki/api/v1/query_range${tenant} --data-urlencode ${shell(`query=${query}`)} -d start=${start} -d end=${end} -d limit=${limit}`;
}

export function asLogcli(query: string, start: Ns, end: Ns, limit = 1000): string {
  const tenant = tenantName() ? ` --org-id=${shell(tenantName())}` : '';
  return `logcli --addr=${location.origin}${BASE.replace(/\/$/, '')}${tenant} query ${shell(query)} --from=${formatIso(start)} --to=${formatIso(end)} --limit=${limit}`;
}

/** Where one and the same thing is told by several services. */
const TRACE = /^(trace_?id|x_trace_id|request_?id|correlation_?id)$/i;

export const isTrace = (field: EntryField): boolean => TRACE.test(field.name) && field.value.length >= 6;

export const plainLine = (entry: Entry): string => stripAnsi(entry.line);
