// Numbers for people: in the browser's language, sizes with their unit.
const plain = new Intl.NumberFormat();
const one = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const few = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });

export const count = (n: number | bigint): string => plain.format(n);
export const compact = (n: number): string => (Math.abs(n) < 10_000 ? plain.format(n) : short.format(n));
export const number = (n: number): string => few.format(n);

export function share(part: number, whole: number): string {
  if (!whole) return '';
  const percent = (part / whole) * 100;
  return percent === 0 ? '0 %' : percent < 0.1 ? '<0.1 %' : `${percent < 10 ? one.format(percent) : Math.round(percent)} %`;
}

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

export function bytes(n: number): string {
  let at = 0;
  let value = n;
  while (Math.abs(value) >= 1000 && at < SIZES.length - 1) {
    value /= 1000;
    at++;
  }
  return `${at === 0 ? plain.format(value) : one.format(value)} ${SIZES[at]}`;
}

export function milliseconds(ms: number): string {
  if (ms < 1) return `${few.format(ms)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${one.format(ms / 1000)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** A value with the unit that its field has. */
export function withUnit(n: number, unit: string | null | undefined): string {
  if (unit === 'bytes') return bytes(n);
  if (unit === 'ms') return milliseconds(n);
  if (unit === 's') return milliseconds(n * 1000);
  if (unit === 'ns') return milliseconds(n / 1e6);
  return unit ? `${number(n)} ${unit}` : number(n);
}
