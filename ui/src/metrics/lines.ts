// Draws series as lines on a canvas, with round numbers at the side and whole times below.
import { number } from '../base/numbers.ts';
import { colourOf, SERIES } from '../base/theme.ts';
import { numberTicks, timeTicks } from '../base/ticks.ts';
import { SECOND, type Ns, type Zone } from '../base/time.ts';
import type { Result } from './data.ts';

export interface Plot {
  readonly result: Result;
  readonly hidden: ReadonlySet<string>;
  readonly start: Ns;
  readonly end: Ns;
  readonly zone: Zone;
  /** Pixels that are looked at or chosen; null: none. */
  readonly at: number | null;
  readonly chosen: readonly [number, number] | null;
}

/** Pixels around the lines. */
export const EDGE = { left: 64, right: 8, top: 10, bottom: 22 };
const TICK_PIXELS = 56;
const FEW_POINTS = 60;

export function seriesToken(at: number): string {
  return SERIES[at % SERIES.length]!;
}

/** The place of the time nearest to `x` pixels, or -1. */
export function nearest(plot: Pick<Plot, 'result' | 'start' | 'end'>, x: number, width: number): number {
  const { times } = plot.result;
  const wanted = secondsAt(plot, x, width);
  let found = -1;
  for (let at = 0; at < times.length; at++) {
    if (found < 0 || Math.abs(times[at]! - wanted) < Math.abs(times[found]! - wanted)) found = at;
  }
  return found;
}

function secondsAt({ start, end }: Pick<Plot, 'start' | 'end'>, x: number, width: number): number {
  const share = (x - EDGE.left) / Math.max(1, width - EDGE.left - EDGE.right);
  return Number(start / 1_000_000n) / 1000 + share * (Number((end - start) / 1_000_000n) / 1000);
}

export function nsAt(plot: Pick<Plot, 'start' | 'end'>, x: number, width: number): Ns {
  const inside = Math.min(Math.max(x, EDGE.left), width - EDGE.right);
  return BigInt(Math.round(secondsAt(plot, inside, width) * 1000)) * (SECOND / 1000n);
}

export function drawLines(canvas: HTMLCanvasElement, plot: Plot): void {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d')!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const host = canvas.parentElement!;
  const colour = (token: string): string => colourOf(token, host);
  const { result, start, end } = plot;
  const shown = result.series.map((one, at) => ({ one, at })).filter(({ one }) => !plot.hidden.has(one.name));
  const [least, most] = bounds(shown.map(({ one }) => one.values));
  const inner = { width: width - EDGE.left - EDGE.right, height: height - EDGE.top - EDGE.bottom };
  const ticks = numberTicks(least, most, inner.height / TICK_PIXELS);
  const [low, high] = [ticks[0]!, ticks.at(-1)!];
  const startS = Number(start / 1_000_000n) / 1000;
  const spanS = Number((end - start) / 1_000_000n) / 1000;
  const xOf = (seconds: number): number => EDGE.left + ((seconds - startS) / spanS) * inner.width;
  const yOf = (value: number): number => EDGE.top + inner.height - ((value - low) / (high - low)) * inner.height;

  context.font = `11px ${getComputedStyle(host).fontFamily}`;
  context.fillStyle = colour('--soft');
  context.strokeStyle = colour('--line');
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  for (const tick of ticks) {
    const y = Math.round(yOf(tick)) + 0.5;
    stroke(context, [[EDGE.left, y], [width - EDGE.right, y]]);
    context.fillText(number(tick), EDGE.left - 8, y);
  }
  context.textAlign = 'left';
  context.textBaseline = 'alphabetic';
  for (const tick of timeTicks(start, end, plot.zone, inner.width)) {
    const x = EDGE.left + tick.x;
    stroke(context, [[Math.round(x) + 0.5, EDGE.top + inner.height], [Math.round(x) + 0.5, EDGE.top + inner.height + 4]]);
    const size = context.measureText(tick.text).width;
    context.fillText(tick.text, Math.min(Math.max(0, x - size / 2), width - size), height - 4);
  }
  context.lineWidth = 1.5;
  context.lineJoin = 'round';
  for (const { one, at } of shown) {
    context.strokeStyle = context.fillStyle = colour(seriesToken(at));
    let run: [number, number][] = [];
    let before = -Infinity;
    for (const [place, value] of one.values.entries()) {
      const seconds = result.times[place]!;
      if (value === null || !Number.isFinite(value)) continue;
      if (seconds - before > result.stepS * 1.5) {
        stroke(context, run);
        run = [];
      }
      run.push([xOf(seconds), yOf(value)]);
      if (result.times.length < FEW_POINTS) dot(context, xOf(seconds), yOf(value), 2);
      before = seconds;
    }
    stroke(context, run);
  }
  if (plot.chosen) {
    const [left, right] = [Math.min(...plot.chosen), Math.max(...plot.chosen)];
    context.fillStyle = colour('--accent');
    context.globalAlpha = 0.18;
    context.fillRect(left, EDGE.top, right - left, inner.height);
    context.globalAlpha = 1;
  } else if (plot.at !== null) {
    const place = nearest(plot, plot.at, width);
    if (place < 0) return;
    const x = xOf(result.times[place]!);
    context.strokeStyle = colour('--line-strong');
    context.lineWidth = 1;
    stroke(context, [[Math.round(x) + 0.5, EDGE.top], [Math.round(x) + 0.5, EDGE.top + inner.height]]);
    for (const { one, at } of shown) {
      const value = one.values[place];
      if (value === null || value === undefined || !Number.isFinite(value)) continue;
      context.fillStyle = colour(seriesToken(at));
      dot(context, x, yOf(value), 3.5);
    }
  }
}

/** From zero, unless a value is below it. */
function bounds(columns: readonly (readonly (number | null)[])[]): [number, number] {
  let [least, most] = [0, -Infinity];
  for (const values of columns) {
    for (const value of values) {
      if (value === null || !Number.isFinite(value)) continue;
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
  }
  return most === -Infinity ? [0, 1] : [least, most === least ? least + 1 : most];
}

function stroke(context: CanvasRenderingContext2D, points: readonly (readonly [number, number])[]): void {
  if (!points.length) return;
  context.beginPath();
  for (const [at, [x, y]] of points.entries()) {
    if (at) context.lineTo(x, y);
    else context.moveTo(x, y);
  }
  context.stroke();
}

function dot(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fill();
}
