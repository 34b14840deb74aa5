// The one line that a link names, where it is not among those that were read: asked for by itself.
import { useAnswer } from '../base/answer.ts';
import { formatTime, type Zone } from '../base/time.ts';
import { visible, visibleLine } from '../base/visible.tsx';
import { Context, entryOf } from './context.tsx';
import { readContext, type Entry } from './data.ts';
import { parseLineName } from './entry.ts';

interface Props {
  readonly name: string;
  readonly entries: readonly Entry[];
  readonly zone: Zone;
  readonly isNewestFirst: boolean;
  readonly close: () => void;
}

export function Linked({ name, entries, zone, isNewestFirst, close }: Props) {
  const wanted = parseLineName(name);
  const isThere = wanted && entries.some((one) => one.ts === wanted.ts && one.order === wanted.order && one.stream.text === wanted.stream);
  const answer = useAnswer(wanted && !isThere ? name : null, (signal) =>
    readContext({ stream: wanted!.stream, ts: wanted!.ts, offset: wanted!.order, before: 0, after: 0, max_line_bytes: 20_000 }, signal));
  if (!wanted || isThere) return null;
  const own = answer.value?.own;
  return (
    <section class="linked" aria-label="The line of the link">
      <div class="details-bar">
        <b>The line of the link</b> <span class="num soft">{formatTime(wanted.ts, zone, 9)}</span> <span class="soft cut">{visible(wanted.stream)}</span>
        <span class="spring" />
        <button class="icon" aria-label="Close" onClick={close}>×</button>
      </div>
      {answer.error && <p class="told-error">{visible(answer.error.text)}</p>}
      {answer.value && !own && <p class="soft">It is not there any more.</p>}
      {own && <pre class="whole">{visibleLine(own.line.slice(0, 20_000))}</pre>}
      {own && <Context entry={{ ...entryOf(own), order: wanted.order }} zone={zone} marks={null} isNewestFirst={isNewestFirst} lines={5} />}
    </section>
  );
}
