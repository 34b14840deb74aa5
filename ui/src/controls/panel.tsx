// Pieces that pages of facts are made of: a titled box, a list of facts, a bar of how much is used, a table.
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface PanelProps {
  readonly title: string;
  readonly side?: ComponentChildren;
  readonly wide?: boolean;
  readonly children?: ComponentChildren;
}

export function Panel({ title, side, wide = false, children }: PanelProps) {
  const id = useId();
  return (
    <section class="panel" aria-labelledby={id} data-wide={wide ? '1' : undefined}>
      <div class="panel-head">
        <h2 id={id}>{title}</h2>
        {side}
      </div>
      {children}
    </section>
  );
}

/** Pairs of a name and what it is; those without a value are left out. */
export function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** How much of `most` is used; it turns to the warning's colour at 80 %. */
export function Used({ label, used, most }: { label: string; used: number; most: number }) {
  const part = most > 0 ? Math.min(1, used / most) : 0;
  return (
    <span class="used" role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={most} aria-valuenow={Math.min(used, most)}
      data-kind={part >= 0.95 ? 'error' : part >= 0.8 ? 'warning' : 'well'}>
      <span style={{ width: `${(part * 100).toFixed(1)}%` }} />
    </span>
  );
}

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => ComponentChildren;
  readonly isNumber?: boolean;
}

interface TableProps<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowKey: (row: T, at: number) => string | number;
  readonly none: ComponentChildren;
}

/** A table of few rows; long lists are a `Grid`. */
export function Table<T>({ label, columns, rows, rowKey, none }: TableProps<T>) {
  if (!rows.length) return <p class="soft none">{none}</p>;
  return (
    <div class="table-box" tabIndex={0} role="region" aria-label={label}>
      <table class="table">
        <thead>
          <tr>{columns.map((one) => <th key={one.title} scope="col" class={one.isNumber ? 'num' : ''}>{one.title}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={rowKey(row, at)}>
              {columns.map((one) => <td key={one.title} class={one.isNumber ? 'num' : ''}>{one.cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A word with the colour of what it means; never by colour alone. */
export function Badge({ kind, children }: { kind: 'good' | 'warning' | 'error' | 'soft'; children: ComponentChildren }) {
  return <span class="badge" data-kind={kind}>{children}</span>;
}
