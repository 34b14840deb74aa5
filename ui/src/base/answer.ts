// What a question was answered: the last good answer stays while a new one is on its way, or after it failed.
import { useEffect, useRef, useState } from 'preact/hooks';
import { isAbort, type ApiError } from './api.ts';
import { noteError, recoveredStore } from './session.ts';
import { useStore } from './store.ts';

export interface Answer<T> {
  readonly value: T | null;
  readonly error: ApiError | null;
  readonly isLoading: boolean;
  readonly again: () => void;
}

/**
 * Ask when `of` changes, when the server is back, and each `everyMs` while the page is seen. `ask` may return
 * `null` where there is nothing to ask.
 */
export function useAnswer<T>(
  ask: (signal: AbortSignal) => Promise<T> | null,
  of: readonly unknown[],
  everyMs = 0,
): Answer<T> {
  const [state, setState] = useState<Omit<Answer<T>, 'again'>>({ value: null, error: null, isLoading: true });
  const [number, setNumber] = useState(0);
  const recovered = useStore(recoveredStore);
  const asked = useRef(ask);
  asked.current = ask;
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      try {
        const promise = document.hidden && everyMs ? null : asked.current(abort.signal);
        if (promise) {
          const value = await promise;
          if (!abort.signal.aborted) setState({ value, error: null, isLoading: false });
        } else if (!everyMs) setState({ value: null, error: null, isLoading: false });
      } catch (error) {
        if (abort.signal.aborted || isAbort(error)) return;
        const found = noteError(error);
        setState((was) => ({ ...was, error: found, isLoading: false }));
      }
      if (everyMs && !abort.signal.aborted) timer = setTimeout(() => void run(), everyMs);
    };
    setState((was) => ({ ...was, isLoading: true }));
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [...of, number, recovered, everyMs]);
  return { ...state, again: () => setNumber((n) => n + 1) };
}
