// One line in each of the views: as a line, as a row of a table, as JSON that is laid out.
import type { ComponentChildren } from 'preact';
import { formatClock, formatTime, MS, type Ns, type Zone } from '../base/time.ts';
import { visible, visibleLine } from '../base/visible.tsx';
import { MAX_LINE, type Entry } from './data.ts';
import { levelNameOf, levelTokenOf, serviceOf, valueOf } from './entry.ts';
import { layOut } from './json_text.ts';

export type View = 'lines' | 'table' | 'json';

export interface RowLook {
  readonly zone: Zone;
  readonly marks: RegExp | null;
  /** Whether the range is of more than one day. */
  readonly hasDays: boolean;
  readonly showsTime: boolean;
  readonly columns: readonly string[];
  readonly widths: Readonly<Record<string, number>>;
}

/** Nanoseconds where neighbours share their millisecond. */
export function digitsAt(entries: readonly Entry[], at: number): 3 | 9 {
  const ms = (one: Entry | undefined): Ns | undefined => one && one.ts / MS;
  const own = ms(entries[at]);
  return own === ms(entries[at - 1]) || own === ms(entries[at + 1]) ? 9 : 3;
}

export function timeText(ts: Ns, look: Pick<RowLook, 'zone' | 'hasDays'>, digits: 3 | 9): string {
  return look.hasDays ? formatTime(ts, look.zone, digits).slice(5) : formatClock(ts, look.zone, digits);
}

const SHORT: Record<string, string> = { critical: 'crit', unknown: '' };

export function LevelMark({ entry }: { entry: Entry }) {
  const token = levelTokenOf(entry);
  const name = levelNameOf(entry);
  return <span class="level" title={name}>{SHORT[token] ?? token}</span>;
}

interface Props {
  readonly entry: Entry;
  readonly look: RowLook;
  readonly digits: 3 | 9;
}

export function LineRow({ entry, look, digits }: Props) {
  return (
    <div class="grid-row line-row" data-level={levelTokenOf(entry)}>
      <span role="gridcell" class="cell-level"><LevelMark entry={entry} /></span>
      {look.showsTime && <span role="gridcell" class="cell-time num">{timeText(entry.ts, look, digits)}</span>}
      <span role="gridcell" class="cell-service cut">{visible(serviceOf(entry.stream.labels))}</span>
      <span role="gridcell" class="cell-line">{visibleLine(entry.line, look.marks, true)}<More entry={entry} /></span>
    </div>
  );
}

/** That the list does not show all of it. */
export function More({ entry }: { entry: Entry }) {
  if (entry.length === null) return null;
  return <span class="more-text"> … {entry.length.toLocaleString()} bytes, opened in the details</span>;
}

export function TableRow({ entry, look, digits }: Props) {
  return (
    <div class="grid-row table-row" data-level={levelTokenOf(entry)}>
      {look.columns.map((name) => (
        <span key={name} role="gridcell" class={`cell cut ${name === 'line' ? 'cell-wide' : ''}`} style={{ width: `${widthOf(name, look)}px` }}>
          {cellOf(entry, name, look, digits)}
        </span>
      ))}
    </div>
  );
}

const WIDTHS: Record<string, number> = { time: 112, level: 60, service: 130, line: 900 };

export function widthOf(name: string, look: Pick<RowLook, 'widths' | 'hasDays'>): number {
  return look.widths[name] ?? (name === 'time' && look.hasDays ? 160 : (WIDTHS[name] ?? 140));
}

function cellOf(entry: Entry, name: string, look: RowLook, digits: 3 | 9): ComponentChildren {
  if (name === 'time') return <span class="num">{timeText(entry.ts, look, digits)}</span>;
  if (name === 'level') return <LevelMark entry={entry} />;
  if (name === 'service') return visible(serviceOf(entry.stream.labels));
  if (name === 'line') return visibleLine(entry.line.slice(0, MAX_LINE), look.marks, true);
  const value = valueOf(entry, name);
  return value === undefined ? <span class="soft">–</span> : visible(value.slice(0, 400), look.marks, true);
}

export function JsonRow({ entry, look, digits }: Props) {
  return (
    <div class="grid-row json-row" data-level={levelTokenOf(entry)}>
      <span role="gridcell" class="cell-level"><LevelMark entry={entry} /></span>
      {look.showsTime && <span role="gridcell" class="cell-time num">{timeText(entry.ts, look, digits)}</span>}
      <span role="gridcell" class="cell-service cut">{visible(serviceOf(entry.stream.labels))}</span>
      <span role="gridcell" class="cell-json"><Pretty text={entry.line} marks={look.marks} /><More entry={entry} /></span>
    </div>
  );
}

/** JSON with colours, anything else as it is. */
export function Pretty({ text, marks }: { text: string; marks: RegExp | null }) {
  const pieces = layOut(text);
  if (!pieces) return <>{visibleLine(text, marks)}</>;
  return (
    <>
      {pieces.map((one) => (one.kind === 'space' || one.kind === 'mark' ? one.text : <span class={`j-${one.kind}`}>{visible(one.text, marks)}</span>))}
    </>
  );
}
