// Short words that something was done; read aloud politely, gone after a moment.
import { makeStore, useStore } from '../base/store.ts';
import { T } from '../base/texts.ts';

const toasts = makeStore<readonly { readonly id: number; readonly text: string }[]>([]);
let last = 0;
const SHOWN_MS = 2500;

export function toast(text: string): void {
  const id = ++last;
  toasts.set([...toasts.get(), { id, text }]);
  setTimeout(() => toasts.set(toasts.get().filter((one) => one.id !== id)), SHOWN_MS);
}

export async function copyText(text: string, what = ''): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(what ? `${T.copied}: ${what}` : T.copied);
  } catch {
    toast(copyOld(text) ? (what ? `${T.copied}: ${what}` : T.copied) : T.notCopied);
  }
}

/** Where the page came over plain HTTP from another machine, only the old way is left. */
function copyOld(text: string): boolean {
  const box = document.createElement('textarea');
  box.value = text;
  box.className = 'off-screen';
  document.body.append(box);
  box.select();
  const done = document.execCommand('copy');
  box.remove();
  return done;
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {useStore(toasts).map((one) => <div key={one.id} class="toast">{one.text}</div>)}
    </div>
  );
}
