// Draws the histogram on a canvas: stacked bars, the hatched range of what is missing, a chosen range.
import { colourOf, levelOf, LEVELS, SERIES } from '../base/theme.ts';
import { timeTicks } from '../base/ticks.ts';
import type { Ns, Zone } from '../base/time.ts';
import { compact } from '../base/numbers.ts';

export interface Bars {
  readonly start: Ns;
  readonly end: Ns;
  readonly step: Ns;
  readonly series: readonly { readonly name: string; readonly token: string; readonly counts: readonly number[] }[];
}

export interface Span {
  readonly start: Ns;
  readonly end: Ns;
}

export const AXIS = 18;
/** Pixels below the bars, for times. */

/** The token of a series' colour: of its level, else by its place. */
export function tokenOf(name: string, place: number, isLevels: boolean): string {
  if (name === '(other)' || (isLevels && levelOf(name) === 'unknown')) return '--fill-unknown';
  return isLevels ? `--fill-${levelOf(name)}` : SERIES[place % SERIES.length]!;
}

/** Severe levels first, which then stand at the bottom: their bars begin at one line. */
export function rankOf(name: string): number {
  const at = (LEVELS as readonly string[]).indexOf(levelOf(name));
  return at < 0 ? LEVELS.length : at;
}

export interface Drawing {
  readonly bars: Bars;
  readonly zone: Zone;
  readonly missing: readonly Span[];
  readonly chosen: Span | null;
  readonly at: Ns | null;
  /** Of the lines that the list holds: its scroll bar is of these. */
  readonly held: Span | null;
}

export function draw(canvas: HTMLCanvasElement, what: Drawing): void {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d')!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const host = canvas.parentElement!;
  const colour = (token: string): string => colourOf(token, host);
  const { bars } = what;
  const inner = height - AXIS;
  const xOf = (ns: Ns): number => (Number(ns - bars.start) / Number(bars.end - bars.start)) * width;
  const buckets = bars.series[0]?.counts.length ?? 0;
  const sums = Array.from({ length: buckets }, (_, at) => bars.series.reduce((sum, one) => sum + (one.counts[at] ?? 0), 0));
  const most = Math.max(1, ...sums);
  const [soft, line] = [colour('--soft'), colour('--line')];

  context.strokeStyle = line;
  for (const part of [0, 0.5]) {
    const y = Math.round(inner * part) + 0.5;
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
  }
  const lows = new Float64Array(buckets);
  for (const one of bars.series) {
    context.fillStyle = colour(one.token);
    for (let at = 0; at < buckets; at++) {
      const count = one.counts[at] ?? 0;
      if (!count) continue;
      const left = xOf(bars.start + bars.step * BigInt(at));
      const right = Math.min(width, xOf(bars.start + bars.step * BigInt(at + 1)));
      const size = Math.max(1, (count / most) * (inner - 2));
      const gap = right - left > 4 ? 1 : right - left > 2 ? 0.5 : 0;
      context.fillRect(left, inner - lows[at]! - size, Math.max(0.8, right - left - gap), size);
      lows[at]! += size;
    }
  }
  for (const span of what.missing) hatch(context, xOf(span.start), xOf(span.end), inner, colour('--warning'));
  if (what.chosen) {
    const [left, right] = [xOf(what.chosen.start), xOf(what.chosen.end)];
    context.globalAlpha = 0.18;
    context.fillStyle = colour('--accent');
    context.fillRect(left, 0, right - left, inner);
    context.globalAlpha = 1;
    context.fillRect(left, 0, 1, inner);
    context.fillRect(right - 1, 0, 1, inner);
  }
  if (what.held) {
    const [left, right] = [xOf(what.held.start), xOf(what.held.end)];
    context.fillStyle = colour('--accent');
    context.fillRect(left, inner, Math.max(2, right - left), 2);
  }
  if (what.at !== null) {
    context.fillStyle = colour('--ink');
    context.fillRect(Math.round(xOf(what.at)), 0, 1, inner);
  }
  context.font = `11px ${getComputedStyle(host).fontFamily}`;
  context.fillStyle = soft;
  context.textBaseline = 'alphabetic';
  for (const tick of timeTicks(bars.start, bars.end, what.zone, width)) {
    context.fillRect(Math.round(tick.x), inner, 1, 4);
    const size = context.measureText(tick.text).width;
    context.fillText(tick.text, Math.min(Math.max(0, tick.x - size / 2), width - size), height - 3);
  }
  if (!sums.some(Boolean)) return;
  const told = compact(most);
  context.textBaseline = 'top';
  const size = context.measureText(told).width;
  context.fillStyle = colour('--surface');
  context.globalAlpha = 0.8;
  context.fillRect(0, 0, size + 6, 14);
  context.globalAlpha = 1;
  context.fillStyle = soft;
  context.fillText(told, 2, 2);
}

function hatch(context: CanvasRenderingContext2D, left: number, right: number, height: number, colour: string): void {
  const [from, to] = [Math.min(left, right - 3), Math.max(right, left + 3)];
  context.save();
  context.beginPath();
  context.rect(from, 0, to - from, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  for (let x = from - height; x < to; x += 6) {
    context.beginPath();
    context.moveTo(x, height);
    context.lineTo(x + height, 0);
    context.stroke();
  }
  context.restore();
}
