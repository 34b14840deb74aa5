// Which values stand at the axes of a chart? Whole times of the zone, and round numbers.
import { formatTime, toMs, type Ns, type Zone } from './time.ts';

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];
const TICK_PIXELS = 110;

/** Whole times, as many as fit in the width; `x` in pixels. */
export function timeTicks(start: Ns, end: Ns, zone: Zone, width: number): { x: number; text: string }[] {
  const [from, to] = [toMs(start), toMs(end)];
  const seconds = (to - from) / 1000;
  const wanted = seconds / Math.max(1, width / TICK_PIXELS);
  const step = STEPS_S.find((one) => one >= wanted) ?? STEPS_S.at(-1)!;
  if (seconds < 1) return [];
  const shift = zoneShift(start, zone);
  const found: { x: number; text: string }[] = [];
  let day = formatTime(start, zone).slice(0, 10);
  for (let at = Math.ceil((from + shift) / (step * 1000)) * step * 1000 - shift; at < to; at += step * 1000) {
    const text = formatTime(BigInt(Math.round(at)) * 1_000_000n, zone);
    const isOther = text.slice(0, 10) !== day;
    day = text.slice(0, 10);
    const clock = step < 60 ? text.slice(11) : text.slice(11, 16);
    found.push({ x: ((at - from) / (to - from)) * width, text: step >= 86400 ? text.slice(5, 10) : isOther ? `${text.slice(5, 10)} ${clock}` : clock });
  }
  return found;
}

/** How far the zone's days begin before those of UTC, in ms. */
function zoneShift(ns: Ns, zone: Zone): number {
  const wall = Date.parse(`${formatTime(ns, zone).replace(' ', 'T')}Z`);
  return Math.round((wall - toMs(ns)) / 900_000) * 900_000;
}

/** About `wanted` round numbers from at most `least` to at least `most`. */
export function numberTicks(least: number, most: number, wanted: number): number[] {
  const span = most - least || Math.abs(most) || 1;
  const raw = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw)!;
  const found: number[] = [];
  for (let k = Math.floor(least / step + 1e-9); k * step < most + step * (1 - 1e-9); k++) found.push(Number((k * step).toPrecision(12)));
  return found.length > 1 ? found : [least, least + step];
}
