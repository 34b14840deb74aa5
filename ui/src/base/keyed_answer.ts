// An answer of the server for a key: asked when the key changes, the question before is ended, and the
// old answer stays in sight until the new one is there.
import { useEffect, useState } from 'preact/hooks';
import { isAbort, type ApiError } from './api.ts';
import { noteError } from './session.ts';

export interface KeyedAnswer<T> {
  readonly value: T | null;
  readonly error: ApiError | null;
  readonly isBusy: boolean;
  /** The key that the value is of. */
  readonly of: string | null;
}

export function useKeyedAnswer<T>(key: string | null, ask: (signal: AbortSignal) => Promise<T>): KeyedAnswer<T> {
  const [state, setState] = useState<KeyedAnswer<T>>({ value: null, error: null, isBusy: false, of: null });
  useEffect(() => {
    if (key === null) {
      setState({ value: null, error: null, isBusy: false, of: null });
      return undefined;
    }
    const abort = new AbortController();
    setState((was) => ({ ...was, isBusy: true }));
    ask(abort.signal).then(
      (value) => !abort.signal.aborted && setState({ value, error: null, isBusy: false, of: key }),
      (error: unknown) => {
        if (!abort.signal.aborted && !isAbort(error)) setState((was) => ({ ...was, error: noteError(error), isBusy: false }));
      },
    );
    return () => abort.abort();
  }, [key]);
  return state;
}
