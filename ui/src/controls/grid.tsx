// A list of any length of which only what is seen exists. Rows may be of any height: those that are
// seen are measured. A screen reader hears it as a grid with all its rows (`aria-rowcount`).
import type { ComponentChildren, Ref } from 'preact';
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Heights } from './heights.ts';

export interface GridHandle {
  /** Bring a row into sight; `middle`: half way down. */
  show(row: number, place?: 'near' | 'middle' | 'top'): void;
  /** Rows that fit. */
  page(): number;
  focus(): void;
  element(): HTMLElement | null;
  /** The first row that is seen. */
  first(): number;
}

interface Props {
  readonly label: string;
  readonly count: number;
  readonly rowHeight: number;
  readonly row: (index: number) => ComponentChildren;
  /** The same text for the same row, whatever stands before it. */
  readonly rowKey: (index: number) => string | number;
  /** Rows are others when this changes: nothing measured holds, and the list is at its top. */
  readonly of: unknown;
  readonly wraps?: boolean;
  readonly active?: number;
  readonly rowId?: (index: number) => string;
  readonly header?: ComponentChildren;
  readonly handle?: Ref<GridHandle>;
  readonly class?: string;
  readonly columns?: number;
  /** The first and the last row that exist, after each change of them. */
  readonly onSeen?: (first: number, last: number, scrollTop: number) => void;
}

const MORE = 6;
/** Rows beyond the edge of what is seen. */
const HIGHEST = 30_000_000;
/** Browsers cannot scroll further. */

export function Grid(props: Props) {
  const { count, rowHeight, wraps = false, active = -1 } = props;
  const box = useRef<HTMLDivElement>(null);
  const rows = useRef<HTMLDivElement>(null);
  const heights = useRef<Heights | null>(null);
  const seenOf = useRef<unknown>(props.of);
  const [, redraw] = useState(0);
  const [size, setSize] = useState({ top: 0, height: 600 });
  heights.current ??= new Heights(count, rowHeight);
  const h = heights.current;
  if (seenOf.current !== props.of) {
    seenOf.current = props.of;
    h.clear(count);
  } else if (h.count !== count) {
    if (count > h.count) h.grow(count);
    else h.clear(count);
  }

  useLayoutEffect(() => {
    if (box.current) box.current.scrollTop = 0;
  }, [props.of]);
  useLayoutEffect(() => {
    h.clear(count);
    redraw((n) => n + 1);
  }, [wraps]);
  useEffect(() => {
    const element = box.current!;
    const observer = new ResizeObserver(() => setSize((was) => ({ ...was, height: element.clientHeight })));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const first = Math.max(0, h.rowAt(size.top) - MORE);
  const last = Math.min(count - 1, h.rowAt(size.top + size.height) + MORE);

  useLayoutEffect(() => {
    const element = rows.current;
    if (!element) return;
    const top = box.current!.scrollTop;
    const anchor = h.rowAt(top);
    let [changed, above] = [false, 0];
    for (const child of element.children) {
      const row = Number((child as HTMLElement).dataset['row']);
      const before = h.of(row);
      const now = (child as HTMLElement).offsetHeight;
      if (now && h.set(row, now)) {
        changed = true;
        if (row < anchor) above += now - before;
      }
    }
    if (above) box.current!.scrollTop = top + above; // what is looked at stays where it is
    if (changed) redraw((n) => n + 1);
  });
  useEffect(() => props.onSeen?.(first, last, size.top), [first, last, count, props.of]);

  useImperativeHandle(props.handle ?? null, () => ({
    show(row, place = 'near') {
      const element = box.current!;
      const head = element.querySelector<HTMLElement>('.grid-head')?.offsetHeight ?? 0;
      const [top, height, inner] = [h.top(row), h.of(row), element.clientHeight - head];
      if (place === 'top') element.scrollTop = top;
      else if (place === 'middle') element.scrollTop = top - (inner - height) / 2;
      else if (top < element.scrollTop) element.scrollTop = top;
      else if (top + Math.min(height, rowHeight * 2) > element.scrollTop + inner) {
        element.scrollTop = top + Math.min(height, rowHeight * 2) - inner;
      }
    },
    page: () => Math.max(1, Math.floor(box.current!.clientHeight / rowHeight) - 2),
    focus: () => box.current?.focus(),
    element: () => box.current,
    first: () => h.rowAt(box.current?.scrollTop ?? 0),
  }), [rowHeight]);

  const shown: ComponentChildren[] = [];
  for (let at = first; at <= last; at++) {
    shown.push(
      <div key={props.rowKey(at)} data-row={at} role="row" class="grid-item" id={props.rowId?.(at)}
        aria-rowindex={at + (props.header ? 2 : 1)} aria-selected={at === active}>
        {props.row(at)}
      </div>,
    );
  }
  return (
    <div ref={box} class={`grid ${props.class ?? ''}`} role="grid" aria-label={props.label} aria-rowcount={count + (props.header ? 1 : 0)}
      aria-colcount={props.columns} data-wrap={wraps ? '1' : '0'} tabIndex={0}
      aria-activedescendant={active >= first && active <= last && props.rowId ? props.rowId(active) : undefined}
      onScroll={(event) => {
        const top = event.currentTarget.scrollTop;
        setSize((was) => (was.top === top ? was : { ...was, top }));
      }}>
      {props.header && <div class="grid-head" role="rowgroup">{props.header}</div>}
      <div class="grid-space" role="presentation" style={{ height: `${Math.min(h.total(), HIGHEST)}px` }}>
        <div ref={rows} class="grid-rows" role="presentation" style={{ transform: `translateY(${h.top(first)}px)` }}>
          {shown}
        </div>
      </div>
    </div>
  );
}
