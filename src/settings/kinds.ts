// What a kind of value in the settings file is: a reader that finds all that is wrong with a value, and what the JSON
// Schema says of it. The kinds are in fields.ts. No package stands behind it, because every command reads settings and
// the smallest one that does this takes a third of its time.

/** Where a value stands in the settings file: keys and indexes. */
export type Path = readonly PropertyKey[];

/** What is wrong with a value, and the edit that puts it right. */
export interface Words {
  readonly what: string;
  readonly hint: string;
}

export interface Flaw extends Words {
  readonly path: Path;
  /** The key, if the object at the path has none of this name. */
  readonly unknownKey?: string;
}

export type JsonSchema = Readonly<Record<string, unknown>>;

/** A kind of value. */
export interface Kind<Value> {
  /** The value, every default filled in. If `flaws` got longer, it is not one. */
  readonly read: (input: unknown, path: Path, flaws: Flaw[]) => Value;
  /** Draft 2020-12. */
  readonly jsonSchema: JsonSchema;
  /** The key may be left out. */
  readonly isOptional?: true;
}

/** What a kind's values are. */
export type ValueOf<One> = One extends Kind<infer Value> ? Value : never;

/** Stands for the value of which a reader found that it is none. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody uses a value that has flaws
export const noValue = undefined as never;

/** The value of a JSON value, or all that is wrong with it. */
export function readKind<Value>(
  kind: Kind<Value>,
  input: unknown,
): { readonly value: Value } | { readonly flaws: readonly Flaw[] } {
  const flaws: Flaw[] = [];
  const value = kind.read(input, [], flaws);
  return flaws.length === 0 ? { value } : { flaws };
}

/** The key may be left out, and is undefined then. */
export function optional<Value>({ read, jsonSchema }: Kind<Value>): Kind<Value | undefined> {
  return {
    read: (input, path, flaws) => (input === undefined ? undefined : read(input, path, flaws)),
    jsonSchema,
    isOptional: true,
  };
}

/** The key may be left out, and stands for this JSON value then. */
export function withDefault<Value>({ read, jsonSchema }: Kind<Value>, standard: unknown): Kind<Value> {
  return {
    read: (input, path, flaws) => read(input === undefined ? standard : input, path, flaws),
    jsonSchema: { default: standard, ...jsonSchema },
    isOptional: true,
  };
}

/** The kind, with what else has to hold of its values; `words` are undefined where it does. */
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
