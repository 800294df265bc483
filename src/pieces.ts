// Long output in pieces: what is printed about a fleet is made while it is written, and could exceed the length of a
// string; each line by itself would be a system call.

const pieceLength = 1 << 16;

/** The same texts, joined to pieces of at least 64 Ki characters; always one, which may be empty. */
export function* inPieces(texts: Iterable<string>): Generator<string, undefined> {
  let piece = '';
  for (const text of texts) {
    piece += text;
    if (piece.length < pieceLength) continue;
    yield piece;
    piece = '';
  }
  yield piece;
  return undefined;
}

/** A list that is made one value after the other. */
export function* oneByOne<Item, Value>(
  items: Iterable<Item>,
  toValue: (item: Item) => Value,
): Generator<Value, undefined> {
  for (const item of items) yield toValue(item);
  return undefined;
}
