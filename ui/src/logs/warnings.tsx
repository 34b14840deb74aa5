// What the answer is without, in words; the histogram hatches where.
import { count } from '../base/numbers.ts';
import { formatTime, type Zone } from '../base/time.ts';
import { visible } from '../base/visible.tsx';
import type { Warning } from './data.ts';

export function Warnings({ warnings, zone }: { warnings: readonly Warning[]; zone: Zone }) {
  if (!warnings.length) return null;
  return (
    <div class="notice" data-kind="warning" role="status">
      {warnings.map((one, at) => (
        <p key={at}>
          <strong>Not everything is here. </strong>
          {one.rows !== null && <>{count(one.rows)} lines are missing. </>}
          {one.start && one.end && <>{formatTime(BigInt(one.start), zone)} – {formatTime(BigInt(one.end), zone)}: </>}
          {visible(one.text)}
        </p>
      ))}
    </div>
  );
}
