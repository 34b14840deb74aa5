// Questions of packs, a list for each pack that has logs here; a click asks one.
import { useAnswer } from '../base/answer.ts';
import { useRange } from '../base/range.ts';
import { visible, visibleText } from '../base/visible.tsx';
import { askOf, readPacks, type Pack } from './data.ts';

export function usePacks(): readonly Pack[] {
  const range = useRange();
  return useAnswer(range.key, (signal) => readPacks(range.start, range.end, signal)).value ?? [];
}

/** Nothing where no pack has a question. */
export function PackQuestions({ level, close }: { level: 'cards' | 'menu'; close?: () => void }) {
  const packs = usePacks().filter((one) => one.questions.length);
  if (!packs.length) return null;
  const isMenu = level === 'menu';
  const Title = isMenu ? 'h3' : 'h2';
  return (
    <section class="pack-questions">
      <Title>Questions for these logs</Title>
      {packs.map((pack) => (
        <details key={pack.name} open={!isMenu && packs.length <= 2}>
          <summary>{visible(pack.title)} <span class="soft num">{pack.questions.length}</span></summary>
          <ul class={isMenu ? 'menu' : 'ready-list'}>
            {pack.questions.map((one) => (
              <li key={one.title}>
                <a class={isMenu ? '' : 'card'} href={askOf(one)} title={visibleText(one.query)} onClick={close}>
                  <b>{visible(one.title)}</b> <span class="soft">{visible(one.question)}</span>
                </a>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </section>
  );
}
