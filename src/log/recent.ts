// A map that keeps only the most recently set entries, so that a log of any length takes a limited amount of memory. A
// caller that needs all of them must count what is lost.

/** Entries that are kept: more than a relay has processes, or a fleet has addresses at once. */
const most = 20_000;

export class Recent<Value> extends Map<string, Value> {
  override set(key: string, value: Value): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > most) {
      for (const first of this.keys()) {
        this.delete(first);
        break;
      }
    }
    return this;
  }
}
