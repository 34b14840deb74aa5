// The form for a token. It is sent once and kept nowhere in the browser: a cookie stands for it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { asApiError } from '../base/api.ts';
import { signIn } from '../base/session.ts';
import { T } from '../base/texts.ts';

export function SignIn() {
  const [told, setTold] = useState('');
  const [waits, setWaits] = useState(0);
  const [busy, setBusy] = useState(false);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => box.current?.focus(), []);
  useEffect(() => {
    if (!waits) return undefined;
    const timer = setTimeout(() => setWaits(waits - 1), 1000);
    return () => clearTimeout(timer);
  }, [waits]);

  async function send(event: Event): Promise<void> {
    event.preventDefault();
    const token = box.current?.value.trim() ?? '';
    if (!token || busy || waits) return;
    setBusy(true);
    try {
      await signIn(token);
    } catch (error) {
      const found = asApiError(error);
      setTold(found.status === 401 ? `${T.wrongToken} ${found.text}.` : found.text);
      setWaits(found.status === 429 ? Math.ceil(found.retryAfterS ?? 5) : 0);
      box.current?.select();
    } finally {
      setBusy(false);
    }
  }

  return (
    <form class="card sign-in" onSubmit={(event) => void send(event)}>
      <h1>{T.signIn}</h1>
      <p class="hint">{T.signInHint} <code>narfi token create --scope read</code></p>
      <label for="token">Token</label>
      <input id="token" ref={box} type="password" autocomplete="current-password" placeholder={T.signInPlace}
        spellcheck={false} aria-describedby="sign-in-told" />
      <p id="sign-in-told" class="told-error" role="alert">{told}{waits ? ` ${T.retryIn(waits)}` : ''}</p>
      <button class="button primary" disabled={busy || waits > 0}>{T.signIn}</button>
    </form>
  );
}
