// An answer of the server for a key: asked when the key changes, when the server is back, and each so
// often while the page is seen. The question before is ended; the last good answer stays in sight while a
// new one is on its way, and after it failed.
import { useEffect, useRef, useState } from 'preact/hooks';
import { isAbort, type ApiError } from './api.ts';
import { noteError, recoveredStore } from './session.ts';
import { useStore } from './store.ts';

interface State<T> {
  readonly value: T | null;
  readonly error: ApiError | null;
  readonly isBusy: boolean;
  /** The key that the value is of. */
  readonly of: string | null;
}

export interface Answer<T> extends State<T> {
  readonly again: () => void;
}

/** No key: there is nothing to ask, and no value. */
export function useAnswer<T>(key: string | null, ask: (signal: AbortSignal) => Promise<T>, everyMs = 0): Answer<T> {
  const [state, setState] = useState<State<T>>({ value: null, error: null, isBusy: key !== null, of: null });
  const [number, setNumber] = useState(0);
  const recovered = useStore(recoveredStore);
  const asked = useRef(ask);
  asked.current = ask;
  useEffect(() => {
    if (key === null) {
      setState({ value: null, error: null, isBusy: false, of: null });
      return undefined;
    }
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      try {
        if (!everyMs || !document.hidden) {
          const value = await asked.current(abort.signal);
          if (!abort.signal.aborted) setState({ value, error: null, isBusy: false, of: key });
        }
      } catch (error) {
        if (abort.signal.aborted || isAbort(error)) return;
        const found = noteError(error);
        setState((was) => ({ ...was, error: found, isBusy: false }));
      }
      if (everyMs && !abort.signal.aborted) timer = setTimeout(() => void run(), everyMs);
    };
    setState((was) => ({ ...was, isBusy: true }));
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, number, recovered, everyMs]);
  return { ...state, again: () => setNumber((n) => n + 1) };
}
