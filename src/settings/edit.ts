// Edits the text of a settings file and keeps everything else in it: comments, order, white space. New values are
// written on one line. The text has been parsed before, so it has no flaw. Nothing here knows a key of the settings.

import { applyEdits, createScanner, findNodeAtLocation, parseTree, type Node } from 'jsonc-parser';

type Path = readonly (string | number)[];

/** The text with one value set; missing objects on the way to it are created. */
export function setValue(text: string, path: Path, value: unknown): string {
  const node = findNode(text, path);
  if (node !== undefined) {
    return applyEdits(text, [{ offset: node.offset, length: node.length, content: onOneLine(value) }]);
  }
  const above = path.slice(0, -1);
  const key = String(path.at(-1));
  const parent = findNode(text, above);
  if (parent === undefined) return setValue(text, above, { [key]: value });
  return arrange(text, parent, [...(parent.children ?? []).keys(), `${JSON.stringify(key)}: ${onOneLine(value)}`]);
}

/** The text with a list's items in this order: a number is an existing item's index, anything else is new. */
export function arrangeList(text: string, path: Path, order: readonly unknown[]): string {
  const list = findNode(text, path);
  if (list?.type !== 'array') throw new TypeError(`no list at ${path.join('.')}`);
  return arrange(
    text,
    list,
    order.map((each) => (typeof each === 'number' ? each : onOneLine(each))),
  );
}

function findNode(text: string, path: Path): Node | undefined {
  const root = parseTree(text, [], { allowTrailingComma: true });
  return root === undefined ? undefined : findNodeAtLocation(root, [...path]);
}

/**
 * An item of a list or an object as written, with its comments: those above it, before its comma, and after that on its
 * line.
 */
interface Item {
  readonly before: string;
  readonly written: string;
  readonly after: string;
}

/** A list or an object with its items in this order: an index, or the text of a new item. */
function arrange(text: string, parent: Node, order: readonly (number | string)[]): string {
  const open = parent.offset + 1;
  const close = parent.offset + parent.length - 1;
  let at = open;
  let hasLastComma = false;
  const items = (parent.children ?? []).map((node): Item => {
    const before = text.slice(at, node.offset);
    const next = findToken(text, node.offset + node.length);
    hasLastComma = text[next] === ',';
    const end = hasLastComma ? next : node.offset + node.length;
    const after = commentsToLineEnd(text, hasLastComma ? end + 1 : end);
    at = end + (hasLastComma ? 1 : 0) + after.length;
    return { before, written: text.slice(node.offset, end), after };
  });
  const tail = text.slice(at, close);

  const lead = spaceBefore(items[0], '');
  const gap = spaceBefore(items[1], lead === '' ? ' ' : lead);
  const arranged = order.map((each, index): Item => {
    const item = typeof each === 'number' ? items[each] : { before: '', written: each, after: '' };
    if (item === undefined) throw new TypeError(`no item ${each}`);
    return /^[ \t]*$/u.test(item.before) ? { ...item, before: index === 0 ? lead : gap } : item;
  });
  const rest = `${tail}${text.slice(close)}`;
  const body = arranged.map(({ before, written, after }, index) => {
    const comma = index < arranged.length - 1 || hasLastComma ? ',' : '';
    // Text after a line comment starts on a new line.
    const isCut = after.includes('//') && !/^[\r\n]/u.test(arranged[index + 1]?.before ?? rest);
    return `${before}${written}${comma}${after}${isCut ? '\n' : ''}`;
  });
  return `${text.slice(0, open)}${body.join('')}${rest}`;
}

/** The offset of the comma or bracket that follows an item. */
function findToken(text: string, offset: number): number {
  const scanner = createScanner(text, true);
  scanner.setPosition(offset);
  scanner.scan();
  return scanner.getTokenOffset();
}

const comments = /[ \t]*(?:\/\*(?:(?!\*\/)[^\r\n])*\*\/[ \t]*)*(?:\/\/[^\r\n]*)?(?=[\r\n])/y;

/** The rest of a line, if it holds only comments. */
function commentsToLineEnd(text: string, offset: number): string {
  comments.lastIndex = offset;
  return comments.exec(text)?.[0] ?? '';
}

function spaceBefore(item: Item | undefined, otherwise: string): string {
  return item === undefined ? otherwise : item.before.slice(item.before.trimEnd().length);
}

function onOneLine(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(onOneLine).join(', ')}]`;
  const members = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{ ${members.map(([key, each]) => `${JSON.stringify(key)}: ${onOneLine(each)}`).join(', ')} }`;
}
