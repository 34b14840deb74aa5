// Names above the table's columns: drag an edge for the width, a name for its place; arrows do both.
import { useRef } from 'preact/hooks';
import { visible, visibleText } from '../base/visible.tsx';
import { widthOf } from './rows.tsx';

interface Props {
  readonly columns: readonly string[];
  readonly widths: Readonly<Record<string, number>>;
  readonly hasDays: boolean;
  readonly setWidth: (name: string, width: number) => void;
  readonly move: (name: string, to: number) => void;
  readonly remove: (name: string) => void;
}

const NARROWEST = 40;
const STEP = 20;

export function TableHead(props: Props) {
  const dragged = useRef('');
  return (
    <div class="grid-row table-head" role="row" aria-rowindex={1}>
      {props.columns.map((name, at) => (
        <div key={name} role="columnheader" class="cell head-cell" style={{ width: `${widthOf(name, props)}px` }} draggable
          onDragStart={(event) => {
            dragged.current = name;
            event.dataTransfer!.setData('text/plain', name);
          }}
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            event.preventDefault();
            if (dragged.current) props.move(dragged.current, at);
          }}>
          <button class="head-name" title={`${visibleText(name)}: [ and ] move it, − and + change its width, Delete takes it away`}
            onKeyDown={(event) => {
              const width = widthOf(name, props);
              if (event.key === '[') props.move(name, at - 1);
              else if (event.key === ']') props.move(name, at + 1);
              else if (event.key === '-') props.setWidth(name, Math.max(NARROWEST, width - STEP));
              else if (event.key === '+') props.setWidth(name, width + STEP);
              else if (event.key === 'Delete') props.remove(name);
              else return;
              event.preventDefault();
              event.stopPropagation();
            }}>{visible(name)}</button>
          <Edge name={name} width={widthOf(name, props)} setWidth={props.setWidth} />
        </div>
      ))}
    </div>
  );
}

function Edge({ name, width, setWidth }: { name: string; width: number; setWidth: (name: string, width: number) => void }) {
  const from = useRef<{ x: number; width: number } | null>(null);
  return (
    <span class="edge" aria-hidden="true" draggable={false}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { x: event.clientX, width };
      }}
      onPointerMove={(event) => {
        if (from.current) setWidth(name, Math.max(NARROWEST, from.current.width + event.clientX - from.current.x));
      }}
      onPointerUp={() => { from.current = null; }} />
  );
}
