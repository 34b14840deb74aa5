// A component that is drawn again only when one of its properties is another one.
import { Component, h, type ComponentType } from 'preact';

export function memo<P extends object>(Inner: ComponentType<P>): ComponentType<P> {
  class Memo extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const before = this.props as Record<string, unknown>;
      const after = next as Record<string, unknown>;
      return Object.keys(after).some((name) => after[name] !== before[name]);
    }

    override render() {
      return h(Inner as ComponentType<object>, this.props);
    }
  }
  return Memo as unknown as ComponentType<P>;
}
