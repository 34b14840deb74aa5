// The chart of a metric query: what is under the pointer is told, dragging asks for that range.
import { useEffect, useRef, useState } from 'preact/hooks';
import { number } from '../base/numbers.ts';
import { setRange } from '../base/range.ts';
import { useStore } from '../base/store.ts';
import { themeStore } from '../base/theme.ts';
import { formatTime, SECOND, type Ns } from '../base/time.ts';
import { visible } from '../base/visible.tsx';
import type { Result } from './data.ts';
import { drawLines, nearest, nsAt, seriesToken } from './lines.ts';

const LEAST_PIXELS = 6;
const MOST_TOLD = 12;

interface Props {
  readonly result: Result;
  readonly hidden: ReadonlySet<string>;
  readonly zone: string;
  readonly start: Ns;
  readonly end: Ns;
}

export function Chart(props: Props) {
  const { result, hidden, zone, start, end } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useStore(themeStore);
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState<number | null>(null);
  const [drag, setDrag] = useState<readonly [number, number] | null>(null);
  const isZoom = drag !== null && Math.abs(drag[1] - drag[0]) >= LEAST_PIXELS;
  useEffect(() => {
    const observer = new ResizeObserver(() => setWidth(canvas.current?.clientWidth ?? 0));
    observer.observe(canvas.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    drawLines(canvas.current!, { result, hidden, start, end, zone, at, chosen: isZoom ? drag : null });
  }, [result, hidden, start, end, zone, theme, width, at, drag]);
  const xOf = (event: PointerEvent): number => event.clientX - canvas.current!.getBoundingClientRect().left;
  const release = (): void => {
    if (drag && isZoom) setRange(nsAt(props, Math.min(...drag), width), nsAt(props, Math.max(...drag), width));
    setDrag(null);
  };
  return (
    <div class="chart">
      <canvas ref={canvas} role="img" aria-label={`${result.series.length} series over time; the table below has their numbers`}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          canvas.current!.setPointerCapture(event.pointerId);
          setDrag([xOf(event), xOf(event)]);
        }}
        onPointerMove={(event) => {
          setAt(xOf(event));
          if (drag) setDrag([drag[0], xOf(event)]);
        }}
        onPointerUp={release}
        onPointerCancel={() => setDrag(null)}
        onPointerLeave={() => !drag && setAt(null)} />
      {at !== null && !drag && <Told {...props} at={at} width={width} />}
    </div>
  );
}

/** The largest values at the time that is under the pointer. */
function Told({ result, hidden, zone, start, end, at, width }: Props & { at: number; width: number }) {
  const place = nearest({ result, start, end }, at, width);
  if (place < 0) return null;
  const values = result.series
    .map((one, series) => ({ name: one.name, token: seriesToken(series), value: one.values[place] ?? null }))
    .filter((one): one is typeof one & { value: number } => one.value !== null && !hidden.has(one.name))
    .sort((a, b) => b.value - a.value);
  const side = at > width / 2 ? { right: `${width - at + 14}px` } : { left: `${at + 14}px` };
  return (
    <div class="tip" style={side} aria-hidden="true">
      <div class="num">{formatTime(BigInt(Math.round(result.times[place]!)) * SECOND, zone)}</div>
      {values.slice(0, MOST_TOLD).map((one) => (
        <div class="tip-row" key={one.name}><i style={{ background: `var(${one.token})` }} /><span>{visible(one.name)}</span><b class="num">{number(one.value)}</b></div>
      ))}
      {values.length > MOST_TOLD && <div class="soft">and {values.length - MOST_TOLD} more</div>}
    </div>
  );
}
