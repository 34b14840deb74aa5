// Which time is looked at? Texts of the URL, and what they meant when the page last ran.
import { isZone, nowNs, parseTime, type Ns, type Zone } from './time.ts';
import { makeStore, useStore } from './store.ts';
import { go, urlStore, useUrl, type Patch, type Url } from './url.ts';

export const FROM = 'now-1h';
export const TO = 'now';

/** When the page last ran: `now` in the range is this, and every run has a number. */
export const runStore = makeStore<{ readonly now: Ns; readonly number: number }>({ now: nowNs(), number: 1 });

export interface Range {
  readonly from: string;
  readonly to: string;
  readonly start: Ns;
  readonly end: Ns;
  readonly zone: Zone;
  /** Of the run; pages ask again when it changes. */
  readonly run: number;
  /** Another text for another range or run. */
  readonly key: string;
}

/** Ask again, with a new now. */
export function runAgain(): void {
  runStore.set({ now: nowNs(), number: runStore.get().number + 1 });
}

/** What is no zone is that of the browser. */
export function zoneOf(url: Url): Zone {
  const zone = url.params.get('tz') ?? 'local';
  return isZone(zone) ? zone : 'local';
}

export function rangeOf(url: Url, now: Ns, run = 0): Range {
  const zone = zoneOf(url);
  const from = url.params.get('from') ?? FROM;
  const to = url.params.get('to') ?? TO;
  const end = parseTime(to, now, zone) ?? now;
  const start = parseTime(from, now, zone) ?? end - 3_600_000_000_000n;
  const first = start < end ? start : end - 1n;
  return { from, to, start: first, end, zone, run, key: `${first} ${end} ${run}` };
}

export function useRange(): Range {
  const run = useStore(runStore);
  return rangeOf(useUrl(), run.now, run.number);
}

/** Another range, and a run of it; a step of the browser's history. */
export function setRange(from: string | Ns, to: string | Ns, more: Patch = {}): void {
  const texts = { from: String(from), to: String(to) };
  go({ ...more, from: texts.from === FROM ? undefined : texts.from, to: texts.to === TO ? undefined : texts.to });
  runAgain();
}

export function currentRange(): Range {
  return rangeOf(urlStore.get(), runStore.get().now);
}

/** Earlier or later by a share of the range; a range that ends now is fixed by it. */
export function shiftRange(shares: number): void {
  const { start, end } = currentRange();
  const by = BigInt(Math.round(Number(end - start) * shares));
  setRange(start + by, end + by);
}

/** Wider (>1) or narrower around the middle. */
export function zoomRange(factor: number): void {
  const { start, end } = currentRange();
  const middle = (start + end) / 2n;
  const half = BigInt(Math.max(1, Math.round((Number(end - start) * factor) / 2)));
  setRange(middle - half, middle + half);
}
