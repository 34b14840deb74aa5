// The box of the range picker: the common ranges, any other one, the zone, running again.
import { useState } from 'preact/hooks';
import { setRange, useRange } from '../base/range.ts';
import { keep, kept } from '../base/store.ts';
import { formatSpan, formatTime, isZone, nowNs, parseTime, type Ns, type Zone } from '../base/time.ts';
import { go, useUrl } from '../base/url.ts';
import { EVERY } from './range_picker.tsx';

const LAST = ['5m', '15m', '30m', '1h', '3h', '6h', '12h', '24h', '2d', '7d', '30d'];
const MOST_RECENT = 5;

export function RangeBox({ close }: { close: () => void }) {
  const range = useRange();
  const [from, setFrom] = useState(typed(range.from, range.zone));
  const [to, setTo] = useState(typed(range.to, range.zone));
  const [every, url] = [useUrl().params.get('auto') ?? '', useUrl()];
  const recent = kept<[string, string][]>('ranges', []);
  const now = nowNs();
  const start = parseTime(from, now, range.zone);
  const end = parseTime(to, now, range.zone);
  const wrong = start === undefined ? 'from' : end === undefined ? 'to' : start >= end ? 'order' : '';
  const choose = (first: string, last: string): void => {
    setRange(written(first, range.zone), written(last, range.zone));
    close();
  };
  return (
    <div class="range-box">
      <div class="quick" role="group" aria-label="Last">
        {LAST.map((span) => (
          <button class="chip" aria-pressed={range.to === 'now' && range.from === `now-${span}`}
            onClick={() => choose(`now-${span}`, 'now')}>{span}</button>
        ))}
      </div>
      <form onSubmit={(event) => {
        event.preventDefault();
        if (wrong) return;
        keep('ranges', [[from, to], ...recent.filter(([f, t]) => f !== from || t !== to)].slice(0, MOST_RECENT));
        choose(from, to);
      }}>
        <label>From <input value={from} spellcheck={false} aria-invalid={wrong === 'from'} onInput={(e) => setFrom(e.currentTarget.value)} /></label>
        <label>To <input value={to} spellcheck={false} aria-invalid={wrong === 'to'} onInput={(e) => setTo(e.currentTarget.value)} /></label>
        <p class="hint" role="status">
          {wrong === 'order' ? 'From has to be before to.' : wrong ? `“${wrong === 'from' ? from : to}” is not a time.`
            : `${formatTime(start!, range.zone)} – ${formatTime(end!, range.zone)}, ${formatSpan(end! - start!)}`}
        </p>
        <p class="hint">now-6h, 2026-11-26 14:05, a Unix time in s, ms or ns, or a time pasted from a log.</p>
        <button class="button primary" disabled={wrong !== ''}>Show</button>
      </form>
      {recent.length > 0 && (
        <div class="recent">
          {recent.map(([f, t]) => <button class="link" onClick={() => choose(f, t)}>{f} – {t}</button>)}
        </div>
      )}
      <div class="range-more">
        <ZoneBox zone={range.zone} />
        <label>Again every{' '}
          <select value={every} onChange={(event) => go({ auto: event.currentTarget.value || undefined }, { replace: true })}>
            {EVERY.map((span) => <option value={span}>{span || 'off'}</option>)}
          </select>
        </label>
      </div>
      {url.params.get('to') && <button class="link" onClick={() => choose(range.from.startsWith('now') ? range.from : 'now-1h', 'now')}>Up to now</button>}
    </div>
  );
}

function ZoneBox({ zone }: { zone: Zone }) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const [text, setText] = useState(zone === 'utc' || zone === 'local' ? '' : zone);
  return (
    <fieldset>
      <legend>Zone</legend>
      <label class="check"><input type="radio" name="zone" checked={zone === 'local'} onChange={() => go({ tz: undefined }, { replace: true })} /> this browser ({own})</label>
      <label class="check"><input type="radio" name="zone" checked={zone === 'utc'} onChange={() => go({ tz: 'utc' }, { replace: true })} /> UTC</label>
      <label class="check">another <input list="zones" size={16} value={text} placeholder="Asia/Tokyo"
        aria-invalid={text !== '' && !isZone(text)}
        onInput={(event) => {
          const value = event.currentTarget.value;
          setText(value);
          if (value && isZone(value)) go({ tz: value }, { replace: true });
        }} /></label>
      <datalist id="zones">{Intl.supportedValuesOf('timeZone').map((name) => <option value={name} />)}</datalist>
    </fieldset>
  );
}

/** Unix times of links are shown as a person writes them. */
function typed(text: string, zone: Zone): string {
  if (!/^\d{12,}$/.test(text)) return text;
  const time = formatTime(BigInt(text), zone, 9).replace(/0+$/, '').replace(/\.$/, '');
  return time;
}

/** What a person wrote goes into the URL as nanoseconds, which no zone changes; `now-6h` stays. */
function written(text: string, zone: Zone): string | Ns {
  const isRelative = text.trim().startsWith('now');
  return isRelative ? text.trim().replace(/\s+/g, '') : (parseTime(text, nowNs(), zone) ?? text);
}
