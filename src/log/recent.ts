// A map that keeps the entries that were set last, so that a log of any length takes a bounded memory. Whoever needs all
// of them counts what is lost.

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
