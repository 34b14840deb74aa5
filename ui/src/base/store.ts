// A value that components follow: the only state that is not in the URL lives in these.
import { useEffect, useState } from 'preact/hooks';

export interface Store<T> {
  get(): T;
  set(value: T): void;
  follow(heard: () => void): () => void;
}

export function makeStore<T>(first: T): Store<T> {
  let value = first;
  const followers = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const heard of [...followers]) heard();
    },
    follow(heard) {
      followers.add(heard);
      return () => followers.delete(heard);
    },
  };
}

/** The store's value, now and whenever it changes. */
export function useStore<T>(store: Store<T>): T {
  const [, redraw] = useState(0);
  const value = store.get();
  useEffect(() => {
    if (!Object.is(store.get(), value)) redraw((n) => n + 1);
    return store.follow(() => redraw((n) => n + 1));
  }, [store]);
  return value;
}

/** What the browser keeps between visits: theme, widths, history; never a token. */
export function kept<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(`narfi.${name}`);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

export function keep(name: string, value: unknown): void {
  try {
    localStorage.setItem(`narfi.${name}`, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing: the page works without.
  }
}
