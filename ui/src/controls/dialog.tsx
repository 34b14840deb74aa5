// A window above the page: the browser's own dialog, which keeps the focus inside and gives it back.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { T } from '../base/texts.ts';

interface Props {
  readonly title: string;
  readonly close: () => void;
  readonly children?: ComponentChildren;
}

export function Dialog({ title, close, children }: Props) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const from = document.activeElement;
    box.current?.showModal();
    return () => {
      if (from instanceof HTMLElement) from.focus();
    };
  }, []);
  return (
    <dialog ref={box} class="dialog" aria-labelledby={id}
      onCancel={(event) => { event.preventDefault(); close(); }}
      onClick={(event) => event.target === box.current && close()}>
      <div class="dialog-box">
        <div class="dialog-head">
          <h2 id={id}>{title}</h2>
          <button class="icon" aria-label={T.close} onClick={close}>×</button>
        </div>
        {children}
      </div>
    </dialog>
  );
}
