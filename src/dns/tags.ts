// Lists of tags, `name=value; name=value`, which DKIM, DMARC and TLS-RPT records are (RFC 6376 3.2). Values stay as they
// are; what they mean is up to the record.

/** The tags in their order, or what is wrong. */
export type Tags = { readonly tags: ReadonlyMap<string, string> } | { readonly flaw: string };

/** Reads a list of tags. Blanks around names and values do not count; a tag that occurs twice makes the list void. */
export function parseTags(text: string): Tags {
  const tags = new Map<string, string>();
  // Not with a regular expression, which takes the square of the time for many blanks.
  const parts = text.split(';').map((part) => part.trim());
  if (parts.at(-1) === '') parts.pop();
  for (const part of parts) {
    const [, name = '', value = ''] = /^([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=[ \t\r\n]*([^]*)$/u.exec(part) ?? [];
    if (name === '') return { flaw: part === '' ? 'it has an empty tag' : `${part} has no name and value` };
    if (tags.has(name)) return { flaw: `the tag ${name} is there twice` };
    tags.set(name, value);
  }
  return { tags };
}

/** True if the first tag is the version; without it the record is of another kind. */
export function hasVersion(text: string, version: string): boolean {
  const [first = ''] = text.split(';');
  return new RegExp(`^[ \\t]*v[ \\t]*=[ \\t]*${version}[ \\t]*$`, 'u').test(first);
}
