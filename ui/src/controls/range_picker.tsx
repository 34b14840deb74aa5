// The time range: short ways for the common ones, boxes for any other, the zone, and running again.
import { useEffect, useState } from 'preact/hooks';
import { lazy } from '../base/lazy.tsx';
import { useKeys } from '../base/keys.ts';
import { runAgain, shiftRange, useRange } from '../base/range.ts';
import { formatOffset, formatTime, type Ns, type Zone } from '../base/time.ts';
import { useUrl } from '../base/url.ts';
import { Popover } from './popover.tsx';

export const EVERY = ['', '5s', '10s', '30s', '1m', '5m'];

const RangeBox = lazy(async () => (await import('../logs/later.ts')).RangeBox);

export function RangePicker() {
  const range = useRange();
  const [opens, setOpens] = useState(0);
  useKeys({ range: () => setOpens((n) => n + 1) });
  useAutoRun();
  return (
    <div class="range" role="group" aria-label="Time">
      <button class="icon wide-only" title="Earlier by one range ([)" aria-label="Earlier" onClick={() => shiftRange(-1)}>‹</button>
      <Popover label={<RangeName />} title="Time range (t)" align="right" buttonClass="button range-name" opens={opens}>
        {(close) => <RangeBox close={close} />}
      </Popover>
      <button class="icon wide-only" title="Later by one range (])" aria-label="Later" onClick={() => shiftRange(1)}>›</button>
      <button class="icon" title={`Run again${range.to === 'now' ? ' up to now' : ''}`} aria-label="Run again" onClick={runAgain}>⟳</button>
    </div>
  );
}

function RangeName() {
  const { from, to, start, end, zone } = useRange();
  const last = to === 'now' && /^now-(\w+)$/.exec(from)?.[1];
  const offset = formatOffset(end, zone);
  if (last) return <><span>Last {last}</span> <small class="zone">{zoneName(zone, offset)}</small></>;
  return <><span class="wide-only">{formatTime(start, zone)} – {endText(start, end, zone)}</span><span class="narrow-only cut">{shortText(start, end, zone)}</span> <small class="zone">{zoneName(zone, offset)}</small></>;
}

/** For phones: minutes, and days only where there are two. */
function shortText(start: Ns, end: Ns, zone: Zone): string {
  const [first, last] = [formatTime(start, zone).slice(5, 16), formatTime(end, zone).slice(5, 16)];
  return first.slice(0, 5) === last.slice(0, 5) ? `${first.slice(6)} – ${last.slice(6)}` : `${first} – ${last}`;
}

/** The day only where it is another one. */
function endText(start: Ns, end: Ns, zone: Zone): string {
  const [first, last] = [formatTime(start, zone), formatTime(end, zone)];
  return first.slice(0, 10) === last.slice(0, 10) ? last.slice(11) : last;
}

function zoneName(zone: Zone, offset: string): string {
  return zone === 'utc' || offset === '+00:00' ? 'UTC' : offset;
}

/** Runs again and again where the URL says so, while the page is looked at. */
function useAutoRun(): void {
  const every = useUrl().params.get('auto') ?? '';
  useEffect(() => {
    const span = EVERY.includes(every) && every ? parseSpanMs(every) : 0;
    if (!span) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) runAgain();
    }, span);
    return () => clearInterval(timer);
  }, [every]);
}

function parseSpanMs(text: string): number {
  return Number.parseInt(text, 10) * (text.endsWith('m') ? 60_000 : 1_000);
}
