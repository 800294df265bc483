// tsyringe, a dependency of @peculiar/x509, does not load unless Reflect has metadata functions. It asks for constructor
// types that a TypeScript compiler may have recorded; @peculiar/x509 was compiled without them, so a plain store is
// enough. Import this file before @peculiar/x509; it does nothing if a full polyfill is already loaded.

type Store = Map<unknown, unknown>;

const stores = new WeakMap<object, Store>();

const metadata = {
  defineMetadata(key: unknown, value: unknown, target: object): void {
    const store = stores.get(target) ?? new Map<unknown, unknown>();
    stores.set(target, store.set(key, value));
  },
  getOwnMetadata(key: unknown, target: object): unknown {
    return stores.get(target)?.get(key);
  },
  getMetadata(key: unknown, target: object): unknown {
    for (let owner: object | null = target; owner !== null; owner = Reflect.getPrototypeOf(owner)) {
      const store = stores.get(owner);
      if (store?.has(key) === true) return store.get(key);
    }
    return undefined;
  },
};

if (!('getMetadata' in Reflect)) {
  for (const [name, value] of Object.entries(metadata)) {
    Object.defineProperty(Reflect, name, { value, configurable: true, writable: true });
  }
}
