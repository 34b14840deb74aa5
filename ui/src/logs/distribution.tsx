// How is a number spread? Thirty bars with percentiles; a brush over them becomes a filter.
import { useRef, useState } from 'preact/hooks';
import { useAnswer } from '../base/answer.ts';
import { compact, withUnit } from '../base/numbers.ts';
import { visible } from '../base/visible.tsx';
import { readDistribution, type Ask, type DistributionAnswer, type Field } from './data.ts';

interface Props {
  readonly ask: Ask | null;
  readonly runKey: string | null;
  readonly field: Field;
  readonly brush: (low: string | null, high: string | null) => void;
}

export function Distribution({ ask, runKey, field, brush }: Props) {
  const answer = useAnswer(runKey && `${runKey} ${field.name}`, (signal) => readDistribution(ask!, field.name, signal));
  const [chosen, setChosen] = useState<readonly [number, number] | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const [drags, setDrags] = useState(false);
  const found = answer.value;
  if (answer.error) return <p class="hint told-error">{visible(answer.error.text)}</p>;
  if (!found) return <p class="hint facet-wait">…</p>;
  if (!found.rows || !found.buckets.length) return <p class="hint">No numbers here.</p>;
  const most = Math.max(1, ...found.buckets.map((one) => one.count));
  const placeOf = (event: PointerEvent): number => {
    const rect = box.current!.getBoundingClientRect();
    const at = Math.floor(((event.clientX - rect.left) / rect.width) * found.buckets.length);
    return Math.max(0, Math.min(found.buckets.length - 1, at));
  };
  const range = chosen && ([Math.min(...chosen), Math.max(...chosen)] as const);
  const low = range ? found.buckets[range[0]]!.from : null;
  const high = range ? found.buckets[range[1]]!.to : null;
  const unit = found.unit ?? field.unit;
  return (
    <div class="distribution" data-stale={answer.isBusy ? '1' : undefined}>
      <div ref={box} class="spread" role="img"
        aria-label={`Spread of ${found.rows} numbers from ${withUnit(found.min, unit)} to ${withUnit(found.max, unit)}`}
        onPointerDown={(event) => {
          box.current!.setPointerCapture(event.pointerId);
          setDrags(true);
          setChosen([placeOf(event), placeOf(event)]);
        }}
        onPointerMove={(event) => drags && chosen && setChosen([chosen[0], placeOf(event)])}
        onPointerUp={() => setDrags(false)}>
        {found.buckets.map((one, at) => (
          <i key={at} data-in={range && (at < range[0] || at > range[1]) ? '0' : undefined}
            title={`${withUnit(one.from, unit)} – ${withUnit(one.to, unit)}: ${compact(one.count)}`}
            style={{ height: `${Math.max(one.count ? 6 : 1, (one.count / most) * 100)}%` }} />
        ))}
      </div>
      <div class="spread-ends num soft"><span>{withUnit(found.min, unit)}</span><span>{found.scale === 'log' ? 'log' : ''}</span><span>{withUnit(found.max, unit)}</span></div>
      <Percentiles found={found} unit={unit} pick={(value) => brush(number4(value), null)} />
      <Bounds key={`${low} ${high}`} low={low} high={high} unit={field.type} apply={(from, to) => {
        brush(from, to);
        setChosen(null);
      }} />
    </div>
  );
}

function Percentiles({ found, unit, pick }: { found: DistributionAnswer; unit: string | null; pick: (value: number) => void }) {
  return (
    <div class="percentiles">
      {(['p50', 'p90', 'p95', 'p99'] as const).map((name) => (
        <button key={name} class="link num" title={`Lines at or above ${name}`} onClick={() => pick(found[name])}>
          <span class="soft">{name}</span> {withUnit(found[name], unit)}
        </button>
      ))}
    </div>
  );
}

/** The brush in numbers, for keyboards and for exact ones. */
function Bounds({ low, high, apply }: { low: number | null; high: number | null; unit: string; apply: (low: string | null, high: string | null) => void }) {
  const [from, setFrom] = useState(low === null ? '' : number4(low));
  const [to, setTo] = useState(high === null ? '' : number4(high));
  const isOk = (text: string): boolean => text === '' || /^-?\d+(\.\d+)?[a-zµ]*$/i.test(text);
  return (
    <form class="bounds" onSubmit={(event) => {
      event.preventDefault();
      if (isOk(from) && isOk(to)) apply(from || null, to || null);
    }}>
      <input value={from} placeholder="from" aria-label="From" aria-invalid={!isOk(from)} onInput={(e) => setFrom(e.currentTarget.value.trim())} />
      <span>–</span>
      <input value={to} placeholder="to" aria-label="To" aria-invalid={!isOk(to)} onInput={(e) => setTo(e.currentTarget.value.trim())} />
      <button class="button small" disabled={!from && !to}>Only</button>
    </form>
  );
}

/** Without exponent and without digits that nobody chose. */
function number4(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

