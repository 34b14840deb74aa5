// Lines over time on a canvas; dragging over it asks for that range.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { number } from '../base/numbers.ts';
import { setRange } from '../base/range.ts';
import { useStore } from '../base/store.ts';
import { colourOf, SERIES, themeStore } from '../base/theme.ts';
import { formatTime, SECOND } from '../base/time.ts';
import { visibleText } from '../base/visible.tsx';
import type { Result } from './data.ts';

const HEIGHT = 320;
const LEAST_PIXELS = 6;

interface Props {
  readonly result: Result;
  readonly hidden: ReadonlySet<string>;
  readonly zone: string;
  readonly start: number; // s
  readonly end: number;
}

export function seriesToken(at: number): string {
  return SERIES[at % SERIES.length]!;
}

export function Chart({ result, hidden, zone, start, end }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const theme = useStore(themeStore);
  useEffect(() => {
    const element = box.current!;
    const ink = colourOf('--soft', element);
    const line = colourOf('--line', element);
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
        scales: { x: { time: true, range: () => [start, end] } },
        axes: [
          { ...axis, values: (_, times) => times.map((time) => shortTime(time, zone, end - start)) },
          { ...axis, size: 64, values: (_, values) => values.map((value) => number(value)) },
        ],
        series: [
          {},
          ...result.series.map((one, at) => ({
            label: visibleText(one.name),
            stroke: colourOf(seriesToken(at), element),
            width: 1.5,
            show: !hidden.has(one.name),
            spanGaps: false,
            points: { show: result.times.length < 60 },
          })),
        ],
        hooks: {
          setSelect: [
            (self) => {
              if (self.select.width < LEAST_PIXELS) return;
              const at = (pixels: number): bigint => BigInt(Math.round(self.posToVal(pixels, 'x') * 1000)) * (SECOND / 1000n);
              setRange(at(self.select.left), at(self.select.left + self.select.width));
            },
          ],
        },
      },
      [result.times, ...result.series.map((one) => one.values)] as uPlot.AlignedData,
      element,
    );
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [result, hidden, zone, theme, start, end]);
  return <div ref={box} class="chart" role="img" aria-label={`${result.series.length} series over time; the table below has their numbers`} />;
}

function shortTime(seconds: number, zone: string, spanS: number): string {
  const text = formatTime(BigInt(Math.round(seconds)) * SECOND, zone);
  return spanS > 86_400 * 2 ? text.slice(5, 16) : spanS < 300 ? text.slice(11, 19) : text.slice(11, 16);
}
