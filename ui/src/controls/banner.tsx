// One line when the server does not answer or is not ready; it goes by itself.
import { useEffect, useState } from 'preact/hooks';
import { healthStore } from '../base/session.ts';
import { useStore } from '../base/store.ts';
import { T } from '../base/texts.ts';

export function Banner() {
  const health = useStore(healthStore);
  const [, tick] = useState(0);
  useEffect(() => {
    if (health.state !== 'offline') return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [health]);
  if (health.state === 'well') return null;
  const left = health.state === 'offline' ? Math.max(0, Math.round((health.retryAtMs - Date.now()) / 1000)) : 0;
  return (
    <div class="banner" role="status" data-state={health.state}>
      {health.state === 'offline' ? `${T.offline} ${T.retryIn(left)}` : `${T.starting}: ${health.text.replace(/^not ready: /, '')}`}
    </div>
  );
}
