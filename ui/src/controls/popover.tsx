// A button with a box below it, closed by Esc, by a click elsewhere, and when the focus leaves it.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface Props {
  readonly label: ComponentChildren;
  readonly title?: string;
  readonly align?: 'left' | 'right';
  readonly buttonClass?: string;
  /** Told how to close itself. */
  readonly children: (close: () => void) => ComponentChildren;
  /** Opened by somebody else as well: rises. */
  readonly opens?: number;
}

export function Popover({ label, title, align = 'left', buttonClass = 'button', children, opens = 0 }: Props) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (opens) setOpen(true);
  }, [opens]);
  useEffect(() => {
    if (!isOpen) return undefined;
    const outside = (event: Event): void => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside, true);
    const focus = (): boolean => {
      const first = box.current?.querySelector<HTMLElement>('.pop input, .pop button, .pop a');
      first?.focus();
      return Boolean(first);
    };
    if (!focus()) setTimeout(focus, 80); // what is inside may have to be loaded
    return () => document.removeEventListener('pointerdown', outside, true);
  }, [isOpen]);
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  return (
    <div class="popover" ref={box}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && isOpen) {
          event.stopPropagation();
          close();
        }
      }}
      onFocusOut={(event) => {
        const to = event.relatedTarget as Node | null;
        if (to && !box.current?.contains(to)) setOpen(false);
      }}>
      <button ref={button} type="button" class={buttonClass} title={title} aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}>{label}</button>
      {isOpen && <div class="pop" data-align={align}>{children(close)}</div>}
    </div>
  );
}
