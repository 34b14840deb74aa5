// A component whose code is loaded when it is first drawn: what first results need comes first.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { T } from './texts.ts';

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let found: ComponentType<P> | null = null;
  let loading: Promise<ComponentType<P>> | null = null;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (found) return;
      loading ??= load();
      loading.then(
        (component) => {
          found = component;
          redraw((n) => n + 1);
        },
        () => {
          loading = null;
          setFailed(true);
        },
      );
    }, []);
    const Found = found as ComponentType<object> | null;
    return Found ? <Found {...props} /> : failed ? <p class="hint">{T.offline}</p> : null;
  };
}
