// What the server said in place of an answer, and what can be done about it.
import { useEffect, useState } from 'preact/hooks';
import type { ApiError } from '../base/api.ts';
import { T } from '../base/texts.ts';
import { visible } from '../base/visible.tsx';

const TITLES: Record<number, string> = {
  0: 'No connection', 400: 'The server did not take this', 401: 'Not signed in', 403: 'Not allowed', 404: 'Not there',
  422: 'The server did not take this', 429: 'Too much at once', 499: 'Cancelled', 500: 'A fault of the server',
  501: 'Not installed', 503: 'Not now', 504: 'Took too long',
};

const ADVICE: Record<number, string> = {
  401: 'Sign in again.',
  403: 'The token that signed in is not for this. Sign out to use another one.',
  500: 'The log of the server tells more, by the request id.',
  504: 'A shorter range or one more label makes it read less.',
};

interface Props {
  readonly error: ApiError;
  readonly again?: () => void;
  /** What the button says. */
  readonly what?: string;
}

export function ErrorBox({ error, again, what = 'Try again' }: Props) {
  const waits = useCountdown(error, again);
  return (
    <div class="notice" data-kind="error" role="alert">
      <strong>{TITLES[error.status] ?? (error.status > 0 ? `Error ${error.status}` : 'A fault of this page')}</strong>
      <pre class="notice-text">{visible(error.text)}</pre>
      <p>
        {ADVICE[error.status]} {waits > 0 && T.retryIn(waits)}{' '}
        {error.requestId && <small class="soft">request {error.requestId} </small>}
        {again && error.status !== 400 && <button class="link" onClick={again}>{what}</button>}
      </p>
    </div>
  );
}

/** Where the server says when (429, 503), it is asked again then. */
function useCountdown(error: ApiError, again: (() => void) | undefined): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (!again || !error.retryAfterS || ![429, 503].includes(error.status)) {
      setLeft(0);
      return undefined;
    }
    const until = Date.now() + error.retryAfterS * 1000;
    setLeft(Math.ceil(error.retryAfterS));
    const timer = setInterval(() => {
      const rest = Math.ceil((until - Date.now()) / 1000);
      setLeft(rest);
      if (rest <= 0) {
        clearInterval(timer);
        again();
      }
    }, 1000);
    return () => clearInterval(timer);
  }, [error]);
  return left;
}
