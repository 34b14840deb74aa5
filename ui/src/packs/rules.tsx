// Rules that packs bring for the logs that are here, and which of them this server evaluates already.
import { formatSpan, SECOND } from '../base/time.ts';
import { linkTo } from '../base/url.ts';
import { visible, visibleText } from '../base/visible.tsx';
import { Badge, Facts, Panel } from '../controls/panel.tsx';
import { copyText } from '../controls/toast.tsx';
import { usePacks } from './questions.tsx';
import type { PackRule } from './data.ts';

/** `loaded`: names of the rules that are there. */
export function PackRules({ loaded }: { loaded: ReadonlySet<string> }) {
  const packs = usePacks().filter((one) => one.rules.length);
  return (
    <>
      {packs.map((pack) => {
        const missing = pack.rules.filter((one) => !loaded.has(one.name));
        const command = `narfi packs apply ${pack.name} --addr ${location.origin}`;
        return (
          <Panel key={pack.name} title={`Offered for ${visibleText(pack.title)}`} wide
            side={<span class="soft">{missing.length ? `${missing.length} of ${pack.rules.length} are not loaded` : 'all are loaded'}</span>}>
            {missing.length > 0 && (
              <div class="pack-apply">
                <pre class="sample" tabIndex={0}>{command}</pre>
                <button class="button small" onClick={() => void copyText(command, 'command')}>Copy</button>
              </div>
            )}
            <div class="rules">{pack.rules.map((rule) => <OfferedRule key={rule.group + rule.name} rule={rule} isLoaded={loaded.has(rule.name)} />)}</div>
          </Panel>
        );
      })}
    </>
  );
}

function OfferedRule({ rule, isLoaded }: { rule: PackRule; isLoaded: boolean }) {
  return (
    <details class="rule">
      <summary>
        <span class="rule-name">{visible(rule.name)}</span> <span class="soft">{visible(rule.summary)}</span>
        {isLoaded && <Badge kind="good">loaded</Badge>}
      </summary>
      <Facts of={[
        ['Query', <code>{visible(rule.query)}</code>],
        ['For', rule.for ? formatSpan(BigInt(rule.for) * SECOND) : null],
        ['What to do', rule.runbook && visible(rule.runbook)],
        ['', <a href={linkTo('metrics', { q: rule.query, from: 'now-6h', to: 'now' })}>See its query over the last 6 h</a>],
      ]} />
    </details>
  );
}
