// What does the URL say of the view of the Logs page, and how is it changed?
import { useMemo, useState } from 'preact/hooks';
import { runAgain, useRange, type Range } from '../base/range.ts';
import { keep, kept } from '../base/store.ts';
import { formatHash, go, patched, useUrl, type Patch } from '../base/url.ts';
import { BASE } from '../base/api.ts';
import { lineName } from './entry.ts';
import type { Entry } from './data.ts';
import type { Direction } from './run.ts';
import type { View } from './rows.tsx';

export const LEVEL = 'detected_level';
export const COLUMNS: readonly string[] = ['time', 'level', 'service', 'line'];

export interface ViewState {
  readonly query: string;
  readonly range: Range;
  readonly view: View;
  readonly wraps: boolean;
  readonly showsTime: boolean;
  readonly direction: Direction;
  readonly columns: readonly string[];
  readonly hidden: readonly string[];
  readonly by: string;
  readonly line: string;
  readonly context: number;
  readonly widths: Readonly<Record<string, number>>;
  setWidth(name: string, width: number): void;
  toggleColumn(name: string): void;
  moveColumn(name: string, to: number): void;
  set(patch: Patch): void;
  /** A query that runs: a step of the browser's history. */
  ask(query: string): void;
  /** The address of this view with times that stay what they are; of one line of it. */
  link(entry?: Entry): string;
}

export function useViewState(): ViewState {
  const url = useUrl();
  const range = useRange();
  const [widths, setWidths] = useState<Record<string, number>>(kept('widths', {}));
  const get = (name: string): string => url.params.get(name) ?? '';
  const list = (name: string): string[] => get(name).split(',').filter(Boolean);
  const columnText = get('c');
  const hiddenText = get('hide');
  const columns = useMemo(() => (columnText ? list('c') : COLUMNS), [columnText]);
  const hidden = useMemo(() => list('hide'), [hiddenText]);
  const setColumns = (next: readonly string[]): void => {
    const text = next.join(',');
    go({ c: text === COLUMNS.join(',') ? undefined : text }, { replace: true });
  };
  const view = (['table', 'json'] as const).find((one) => one === get('v')) ?? 'lines';
  return {
    query: get('q'),
    range,
    view,
    wraps: get('wrap') === '1',
    showsTime: get('time') !== '0',
    direction: get('dir') === 'forward' ? 'forward' : 'backward',
    columns,
    hidden,
    by: get('by') || LEVEL,
    line: get('line'),
    context: Number.parseInt(get('ctx'), 10) || 0,
    widths,
    setWidth(name, width) {
      const next = { ...widths, [name]: Math.round(width) };
      setWidths(next);
      keep('widths', next);
    },
    toggleColumn(name) {
      if (columns.includes(name)) {
        if (columns.length > 1) setColumns(columns.filter((one) => one !== name));
        return;
      }
      const at = columns.indexOf('line');
      setColumns(at < 0 ? [...columns, name] : [...columns.slice(0, at), name, ...columns.slice(at)]);
      if (view === 'lines') go({ v: 'table' }, { replace: true });
    },
    moveColumn(name, to) {
      const rest = columns.filter((one) => one !== name);
      const place = Math.max(0, Math.min(rest.length, to));
      setColumns([...rest.slice(0, place), name, ...rest.slice(place)]);
    },
    set: (patch) => go(patch, { replace: true }),
    ask(query) {
      go({ q: query, line: undefined, ctx: undefined });
      runAgain();
    },
    link(entry) {
      const times = { from: String(range.start), to: String(range.end), auto: undefined };
      const line = entry ? { line: lineName(entry) } : {};
      return `${location.origin}${BASE}ui/${formatHash(patched(url, { ...times, ...line }))}`;
    },
  };
}
