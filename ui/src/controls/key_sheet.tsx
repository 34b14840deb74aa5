// The sheet of all keys, from the table that also makes them act.
import { KEYS, keyName, keysOnStore, setKeysOn, type Action } from '../base/keys.ts';
import { useStore } from '../base/store.ts';
import { KEY_TEXTS } from '../base/key_texts.ts';
import { T } from '../base/texts.ts';
import { Dialog } from './dialog.tsx';

export function KeySheet({ close }: { close: () => void }) {
  const on = useStore(keysOnStore);
  return (
    <Dialog title={T.keys} close={close}>
      <label class="check">
        <input type="checkbox" checked={on} onChange={(event) => setKeysOn(event.currentTarget.checked)} /> {T.keysOn}
      </label>
      <div class="key-groups">
        {KEY_TEXTS.map((group) => (
          <section>
            <h3>{group.title}</h3>
            <dl>
              {(Object.entries(group.keys) as [Action, string][]).map(([action, text]) => (
                <div>
                  <dt>{KEYS[action].map((key) => <kbd>{keyName(key)}</kbd>)}</dt>
                  <dd>{text}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p class="hint">In the query box: <kbd>Enter</kbd> runs, <kbd>Shift</kbd>+<kbd>Enter</kbd> makes a line, <kbd>Ctrl</kbd>+<kbd>Space</kbd> completes.</p>
    </Dialog>
  );
}
