// How many lines when? Drag to zoom, click a bar for that bar, the legend hides; the same as a table.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { compact, count } from '../base/numbers.ts';
import { keep, kept, useStore } from '../base/store.ts';
import { themeStore } from '../base/theme.ts';
import { formatTime, type Ns, type Zone } from '../base/time.ts';
import { visible, visibleText } from '../base/visible.tsx';
import type { HistogramAnswer, Warning } from './data.ts';
import { LEVEL } from './view_state.ts';
import { draw, rankOf, tokenOf, type Bars, type Span } from './bars.ts';

interface Props {
  readonly answer: HistogramAnswer | null;
  readonly isStale: boolean;
  readonly by: string;
  /** Fields of few values, by which bars may be parted too. */
  readonly parts: readonly string[];
  readonly setBy: (name: string) => void;
  readonly zone: Zone;
  readonly hidden: readonly string[];
  readonly setHidden: (names: readonly string[]) => void;
  readonly warnings: readonly Warning[];
  /** The time of the line that is looked at. */
  readonly at: Ns | null;
  /** Of the lines that the list holds. */
  readonly held: Span | null;
  readonly zoom: (start: Ns, end: Ns) => void;
}

const CLICK_PIXELS = 4;

export function Histogram(props: Props) {
  const [isOpen, setOpen] = useState(kept('histogram', true));
  const [asTable, setAsTable] = useState(false);
  const toggle = (): void => {
    keep('histogram', !isOpen);
    setOpen(!isOpen);
  };
  const bars = useMemo(() => barsOf(props.answer, props.by, props.hidden), [props.answer, props.by, props.hidden]);
  const legend = useMemo(() => legendOf(props.answer, props.by), [props.answer, props.by]);
  return (
    <section class="histogram" aria-label="Lines over time" data-stale={props.isStale ? '1' : undefined}>
      <div class="legend">
        {legend.map((one) => (
          <button key={one.name} class="legend-item" aria-pressed={!props.hidden.includes(one.name)}
            title={`${one.name}: ${count(one.total)} lines. Click hides or shows`}
            onClick={() => props.setHidden(toggled(props.hidden, one.name))}>
            <i style={{ background: `var(${one.token})` }} />
            {visible(one.name || 'lines')} <span class="soft num">{compact(one.total)}</span>
          </button>
        ))}
        <span class="spring" />
        {isOpen && (
          <label class="field by">by{' '}
            <select class="small" value={props.by} onChange={(event) => props.setBy(event.currentTarget.value)}>
              {[...new Set([LEVEL, props.by, ...props.parts])].map((name) => <option value={name}>{name === LEVEL ? 'level' : visibleText(name)}</option>)}
            </select>
          </label>
        )}
        {isOpen && <button class="button quiet small" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>Table</button>}
        <button class="button quiet small" aria-expanded={isOpen} onClick={toggle}>{isOpen ? 'Hide' : 'Show histogram'}</button>
      </div>
      {isOpen && (asTable ? <BarTable bars={bars} {...props} /> : <BarCanvas bars={bars} {...props} />)}
    </section>
  );
}

function toggled(names: readonly string[], name: string): string[] {
  return names.includes(name) ? names.filter((one) => one !== name) : [...names, name];
}

function barsOf(answer: HistogramAnswer | null, by: string, hidden: readonly string[]): Bars | null {
  if (!answer) return null;
  const isLevels = by === LEVEL;
  const series = answer.series.map((one, at) => ({ name: one.value, counts: one.counts, token: tokenOf(one.value, at, isLevels) }));
  if (isLevels) series.sort((a, b) => rankOf(a.name) - rankOf(b.name));
  const shown = series.filter((one) => !hidden.includes(one.name));
  return { start: BigInt(answer.start), end: BigInt(answer.end), step: BigInt(answer.step), series: shown };
}

function legendOf(answer: HistogramAnswer | null, by: string): { name: string; token: string; total: number }[] {
  const found = (answer?.series ?? []).map((one, at) => ({
    name: one.value,
    token: tokenOf(one.value, at, by === LEVEL),
    total: one.counts.reduce((sum, n) => sum + n, 0),
  }));
  const some = found.filter((one) => one.total > 0);
  return by === LEVEL ? some.sort((a, b) => rankOf(a.name) - rankOf(b.name)) : some;
}

/** Where the answer says that something is missing. */
function missingOf(warnings: readonly Warning[]): Span[] {
  return warnings.flatMap((one) => (one.start && one.end ? [{ start: BigInt(one.start), end: BigInt(one.end) }] : []));
}

function BarCanvas({ bars, zone, warnings, at, held, zoom }: Props & { bars: Bars | null }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useStore(themeStore);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const [hover, setHover] = useState<number | null>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(() => setWidth(canvas.current?.clientWidth ?? 0));
    observer.observe(canvas.current!);
    return () => observer.disconnect();
  }, []);
  const nsAt = (x: number): Ns => bars!.start + BigInt(Math.round((Math.min(Math.max(x, 0), width) / width) * Number(bars!.end - bars!.start)));
  const bucketAt = (x: number): number => Number((nsAt(x) - bars!.start) / bars!.step);
  const chosen = drag && bars && Math.abs(drag.to - drag.from) > CLICK_PIXELS
    ? { start: nsAt(Math.min(drag.from, drag.to)), end: nsAt(Math.max(drag.from, drag.to)) }
    : null;
  useEffect(() => {
    if (canvas.current && bars) draw(canvas.current, { bars, zone, missing: missingOf(warnings), chosen, at, held });
  }, [bars, zone, warnings, drag, at, held, width, theme]);
  const xOf = (event: PointerEvent): number => event.clientX - canvas.current!.getBoundingClientRect().left;
  const release = (): void => {
    if (!drag || !bars) return;
    if (chosen) zoom(chosen.start, chosen.end);
    else {
      const bucket = BigInt(bucketAt(drag.from));
      zoom(bars.start + bucket * bars.step, bars.start + (bucket + 1n) * bars.step);
    }
    setDrag(null);
    setHover(null);
  };
  const sums = bars?.series.map((one) => one.counts.reduce((sum, n) => sum + n, 0)) ?? [];
  return (
    <div class="bars">
      <canvas ref={canvas} role="img" aria-label={`Bars of ${count(sums.reduce((a, b) => a + b, 0))} lines; the button Table gives them as a table.${held ? ` The list holds those from ${formatTime(held.start, zone)} to ${formatTime(held.end, zone)}` : ''}`}
        onPointerDown={(event) => {
          if (!bars || event.button !== 0) return;
          canvas.current!.setPointerCapture(event.pointerId);
          setDrag({ from: xOf(event), to: xOf(event) });
        }}
        onPointerMove={(event) => {
          if (!bars) return;
          setHover(xOf(event));
          if (drag) setDrag({ ...drag, to: xOf(event) });
        }}
        onPointerUp={release}
        onPointerCancel={() => setDrag(null)}
        onPointerLeave={() => !drag && setHover(null)} />
      {bars && hover !== null && width > 0 && !chosen && <Tip bars={bars} bucket={bucketAt(hover)} x={hover} width={width} zone={zone} />}
      {chosen && <div class="tip" style={{ left: '8px' }}>{formatTime(chosen.start, zone)} – {formatTime(chosen.end, zone)}</div>}
    </div>
  );
}

function Tip({ bars, bucket, x, width, zone }: { bars: Bars; bucket: number; x: number; width: number; zone: Zone }) {
  const buckets = bars.series[0]?.counts.length ?? 0;
  if (bucket >= buckets) return null;
  const start = bars.start + bars.step * BigInt(bucket);
  const rows = bars.series.filter((one) => one.counts[bucket]);
  const side = x > width / 2 ? { right: `${width - x + 12}px` } : { left: `${x + 12}px` };
  return (
    <div class="tip" style={side} aria-hidden="true">
      <div class="num">{formatTime(start, zone)} – {formatTime(start + bars.step, zone).slice(11)}</div>
      {rows.length === 0 && <div class="soft">no line</div>}
      {rows.map((one) => (
        <div class="tip-row"><i style={{ background: `var(${one.token})` }} /><span>{visible(one.name || 'lines')}</span><b class="num">{count(one.counts[bucket]!)}</b></div>
      ))}
    </div>
  );
}

/** The twin for those who do not see bars; rows without a line are left out. */
function BarTable({ bars, zone, zoom }: Props & { bars: Bars | null }) {
  if (!bars) return null;
  const buckets = bars.series[0]?.counts.map((_, at) => at) ?? [];
  const rows = buckets.filter((at) => bars.series.some((one) => one.counts[at]));
  return (
    <div class="bars bar-table" tabIndex={0} role="region" aria-label="Lines over time as a table">
      <table>
        <thead><tr><th>From</th>{bars.series.map((one) => <th>{visible(one.name || 'lines')}</th>)}</tr></thead>
        <tbody>
          {rows.map((at) => {
            const start = bars.start + bars.step * BigInt(at);
            return (
              <tr>
                <th scope="row"><button class="link num" onClick={() => zoom(start, start + bars.step)}>{formatTime(start, zone)}</button></th>
                {bars.series.map((one) => <td class="num">{one.counts[at] ? count(one.counts[at]!) : ''}</td>)}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
