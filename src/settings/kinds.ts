// A kind of value in the settings file: a reader that finds everything wrong with a value, and what the JSON Schema
// says of it. The kinds are in fields.ts. No package is used, because every command reads settings and even the
// smallest suitable one takes a third of a command's time.

/** The path of a value in the settings file: keys and indexes. */
export type Path = readonly PropertyKey[];

/** What is wrong with a value, and how to fix it. */
export interface Words {
  readonly what: string;
  readonly hint: string;
}

export interface Flaw extends Words {
  readonly path: Path;
  /** The key, if the object at the path does not know a key of this name. */
  readonly unknownKey?: string;
}

export type JsonSchema = Readonly<Record<string, unknown>>;

/** A kind of value. */
export interface Kind<Value> {
  /** The value, with every default filled in. It is only valid if `flaws` did not grow. */
  readonly read: (input: unknown, path: Path, flaws: Flaw[]) => Value;
  /** JSON Schema draft 2020-12. */
  readonly jsonSchema: JsonSchema;
  /** The key may be left out. */
  readonly isOptional?: true;
}

/** The type of a kind's values. */
export type ValueOf<One> = One extends Kind<infer Value> ? Value : never;

/** Returned for a value that a reader has refused. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody uses a value that has flaws
export const noValue = undefined as never;

/** The value of a JSON value, or everything that is wrong with it. */
export function readKind<Value>(
  kind: Kind<Value>,
  input: unknown,
): { readonly value: Value } | { readonly flaws: readonly Flaw[] } {
  const flaws: Flaw[] = [];
  const value = kind.read(input, [], flaws);
  return flaws.length === 0 ? { value } : { flaws };
}

/** The key is optional, and undefined by default. */
export function optional<Value>({ read, jsonSchema }: Kind<Value>): Kind<Value | undefined> {
  return {
    read: (input, path, flaws) => (input === undefined ? undefined : read(input, path, flaws)),
    jsonSchema,
    isOptional: true,
  };
}

/** The key is optional; this JSON value is the default. */
export function withDefault<Value>({ read, jsonSchema }: Kind<Value>, standard: unknown): Kind<Value> {
  return {
    read: (input, path, flaws) => read(input === undefined ? standard : input, path, flaws),
    jsonSchema: { default: standard, ...jsonSchema },
    isOptional: true,
  };
}

/** The kind, with a further rule for its values; `words` returns undefined if the rule holds. */
export function checked<Value>(
  kind: Kind<Value>,
  words: (value: Value) => Words | undefined,
  jsonSchema: JsonSchema,
): Kind<Value> {
  const read: Kind<Value>['read'] = (input, path, flaws) => {
    const before = flaws.length;
    const value = kind.read(input, path, flaws);
    const wrong = flaws.length > before ? undefined : words(value);
    if (wrong !== undefined) flaws.push({ path, ...wrong });
    return value;
  };
  return { ...kind, read, jsonSchema: { ...kind.jsonSchema, ...jsonSchema } };
}
