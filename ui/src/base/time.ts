// Times are BigInt nanoseconds since 1970; texts are ISO, in a zone, always 24 h.

export type Ns = bigint;
/** `utc`, `local`, or a name such as `Europe/Berlin`. */
export type Zone = string;

export const MS = 1_000_000n;
export const SECOND = 1_000n * MS;
const UNITS: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  ms: MS,
  s: SECOND,
  m: 60n * SECOND,
  h: 3_600n * SECOND,
  d: 86_400n * SECOND,
  w: 604_800n * SECOND,
  y: 31_536_000n * SECOND,
};

export function nowNs(): Ns {
  return BigInt(Date.now()) * MS;
}

export function toMs(ns: Ns): number {
  return Number(ns / MS);
}

/** `1h30m` as nanoseconds. */
export function parseSpan(text: string): bigint | undefined {
  const parts = [...text.matchAll(/(\d+)(ns|us|ms|s|m|h|d|w|y)/g)];
  if (!parts.length || parts.map((p) => p[0]).join('') !== text) return undefined;
  return parts.reduce((sum, [, count, unit]) => sum + BigInt(count!) * UNITS[unit!]!, 0n);
}

/** A length of time in at most two units, as durations are written in LogQL: `6h`, `1d12h`. */
export function formatSpan(span: bigint): string {
  let rest = span < 0n ? -span : span;
  const found: string[] = [];
  for (const unit of ['d', 'h', 'm', 's', 'ms', 'us', 'ns']) {
    const size = UNITS[unit]!;
    if (rest >= size && found.length < 2) {
      found.push(`${rest / size}${unit}`);
      rest %= size;
    } else if (found.length) break;
  }
  return found.join('') || '0s';
}

/**
 * What somebody typed or pasted: `now-6h`, ISO with any digits, Unix time in s, ms, us or ns, and the
 * forms of nginx and syslog. A text without a zone is of `zone`.
 */
export function parseTime(given: string, now: Ns, zone: Zone): Ns | undefined {
  const text = given.trim();
  const relative = /^now(?:\s*([+-])\s*(\w+))?$/.exec(text);
  if (relative) {
    if (!relative[1]) return now;
    const span = parseSpan(relative[2]!);
    return span === undefined ? undefined : relative[1] === '-' ? now - span : now + span;
  }
  if (/^\d{9,10}(\.\d+)?$/.test(text)) {
    const [whole, part = ''] = text.split('.');
    return BigInt(whole!) * SECOND + BigInt(part.slice(0, 9).padEnd(9, '0'));
  }
  if (/^\d{12,19}$/.test(text)) return BigInt(text) * 10n ** BigInt(text.length <= 13 ? 6 : text.length <= 16 ? 3 : 0);
  return parseIso(text, zone) ?? parseOthers(text, now, zone);
}

function parseIso(text: string, zone: Zone): Ns | undefined {
  const found =
    /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i.exec(text);
  if (!found) return undefined;
  const [, year, month, day, hour = '0', minute = '0', second = '0', part = '', offset] = found;
  const ms = Date.UTC(+year!, +month! - 1, +day!, +hour, +minute, +second);
  const check = new Date(ms);
  if (check.getUTCDate() !== +day! || +hour > 23 || +minute > 59 || +second > 60) return undefined;
  return BigInt(ms - givenOffsetMs(offset, ms, zone)) * MS + BigInt(part.padEnd(9, '0'));
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

function parseOthers(text: string, now: Ns, zone: Zone): Ns | undefined {
  const nginx = /^(\d\d)\/(\w{3})\/(\d{4})[: ](\d\d:\d\d:\d\d)(?: ([+-]\d{4}))?$/.exec(text);
  const syslog = /^(\w{3}) +(\d{1,2}) (\d\d:\d\d:\d\d)$/.exec(text);
  const clock = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/.exec(text);
  if (nginx) return parseIso(`${nginx[3]}-${monthOf(nginx[2]!)}-${nginx[1]} ${nginx[4]}${nginx[5] ?? ''}`, zone);
  if (syslog) {
    const year = formatTime(now, zone).slice(0, 4);
    return parseIso(`${year}-${monthOf(syslog[1]!)}-${syslog[2]!.padStart(2, '0')} ${syslog[3]}`, zone);
  }
  if (clock) return parseIso(`${formatTime(now, zone).slice(0, 10)} ${text}`, zone);
  const parsed = /\d{4}/.test(text) && /[a-z]/i.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(parsed) ? undefined : BigInt(parsed) * MS;
}

function monthOf(name: string): string {
  return String(MONTHS.indexOf(name) + 1).padStart(2, '0');
}

function givenOffsetMs(offset: string | undefined, wallMs: number, zone: Zone): number {
  if (!offset) {
    // The offset of the wall clock's time; twice, for the hours around a change.
    const guess = offsetMs(wallMs, zone);
    return offsetMs(wallMs - guess, zone);
  }
  if (/z/i.test(offset)) return 0;
  const sign = offset[0] === '-' ? -1 : 1;
  const digits = offset.replace(/\D/g, '');
  return sign * (+digits.slice(0, 2) * 60 + +digits.slice(2)) * 60_000;
}

const QUARTER = 900_000;
const offsets = new Map<string, number>();
const formatters = new Map<Zone, Intl.DateTimeFormat>();

/** How far the zone's clocks are before UTC; they change at quarters of an hour only. */
export function offsetMs(ms: number, zone: Zone): number {
  if (zone === 'utc') return 0;
  if (zone === 'local') return -new Date(ms).getTimezoneOffset() * 60_000;
  const quarter = Math.floor(ms / QUARTER);
  const key = `${zone} ${quarter}`;
  let found = offsets.get(key);
  if (found === undefined) {
    let formatter = formatters.get(zone);
    if (!formatter) {
      formatter = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' });
      formatters.set(zone, formatter);
    }
    const name = formatter.formatToParts(quarter * QUARTER).find((p) => p.type === 'timeZoneName')?.value ?? '';
    const parts = /([+-])(\d\d):(\d\d)/.exec(name);
    found = parts ? (parts[1] === '-' ? -1 : 1) * (+parts[2]! * 60 + +parts[3]!) * 60_000 : 0;
    if (offsets.size > 5_000) offsets.clear();
    offsets.set(key, found);
  }
  return found;
}

const zones = new Map<Zone, boolean>([['utc', true], ['local', true]]);

export function isZone(zone: Zone): boolean {
  let found = zones.get(zone);
  if (found === undefined) {
    try {
      new Intl.DateTimeFormat('en', { timeZone: zone });
      found = true;
    } catch {
      found = false;
    }
    zones.set(zone, found);
  }
  return found;
}

/** `2026-11-26 20:41:41.123`, with `digits` of the fraction (0, 3, 6, 9). */
export function formatTime(ns: Ns, zone: Zone, digits: 0 | 3 | 6 | 9 = 0): string {
  let ms = ns / MS;
  let rest = ns % MS;
  if (rest < 0n) {
    ms -= 1n;
    rest += MS;
  }
  const number = Number(ms);
  const text = new Date(number + offsetMs(number, zone)).toISOString();
  const whole = `${text.slice(0, 10)} ${text.slice(11, 19)}`;
  if (!digits) return whole;
  return `${whole}.${(text.slice(20, 23) + String(rest).padStart(6, '0')).slice(0, digits)}`;
}

/** `14:33:37.368`: of a line, where the day is told elsewhere. */
export function formatClock(ns: Ns, zone: Zone, digits: 0 | 3 | 6 | 9 = 3): string {
  return formatTime(ns, zone, digits).slice(11);
}

/** `+01:00`, or `UTC`. */
export function formatOffset(ns: Ns, zone: Zone): string {
  const minutes = offsetMs(toMs(ns), zone) / 60_000;
  if (zone === 'utc') return 'UTC';
  const size = Math.abs(minutes);
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
  return `${minutes < 0 ? '−' : '+'}${two(size / 60)}:${two(size % 60)}`;
}

/** With its zone, as ISO has it: what a link or a copy holds. */
export function formatIso(ns: Ns, zone: Zone = 'utc'): string {
  const offset = formatOffset(ns, zone).replace('−', '-').replace('UTC', 'Z');
  const fraction = ns % SECOND === 0n ? '' : formatTime(ns, zone, 9).slice(19).replace(/0+$/, '');
  return `${formatTime(ns, zone).replace(' ', 'T')}${fraction}${offset}`;
}

/** `3 min ago`, for people. */
export function formatAgo(ns: Ns, now: Ns): string {
  const seconds = Number((now - ns) / SECOND);
  const [count, unit] =
    Math.abs(seconds) < 90
      ? [seconds, 's']
      : Math.abs(seconds) < 5_400
        ? [seconds / 60, 'min']
        : Math.abs(seconds) < 172_800
          ? [seconds / 3_600, 'h']
          : [seconds / 86_400, 'days'];
  return count < 0 ? `in ${Math.round(-count)} ${unit}` : `${Math.round(count)} ${unit} ago`;
}
