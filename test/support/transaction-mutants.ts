// Deliberate faults in the source of the transaction, each as a text and its replacement. A text that does not occur
// exactly once fails the test: anybody who rewrites the transaction must rewrite these.

export interface Mutant {
  /** The change whose proof fails. */
  readonly shownBy: string;
  readonly name: string;
  readonly find: string;
  readonly replace: string;
}

const mutant = (shownBy: string, name: string, find: string, replace: string): Mutant => ({
  shownBy,
  name,
  find,
  replace,
});

/** A call of `attempt` with a sync in it, removed. */
const nothing = '';

export const mutants: readonly Mutant[] = [
  mutant(
    'passphrase change',
    'early sync gone',
    'if (elsewhere.length > 0) await disk.sync([draftOf(project), folder, project]);',
    nothing,
  ),
  mutant(
    'passphrase change',
    'draft not synced early',
    'sync([draftOf(project), folder, project])',
    'sync([folder, project])',
  ),
  mutant(
    'passphrase change',
    'change folder not synced early',
    'sync([draftOf(project), folder, project])',
    'sync([draftOf(project), project])',
  ),
  mutant(
    'passphrase change',
    'project not synced early',
    'sync([draftOf(project), folder, project])',
    'sync([draftOf(project), folder])',
  ),
  mutant(
    'no ledger yet',
    'draft not synced',
    'sync([draftOf(project), ...staged, ...folders])',
    'sync([...staged, ...folders])',
  ),
  mutant(
    'retire',
    'staged files not synced',
    'sync([draftOf(project), ...staged, ...folders])',
    'sync([draftOf(project), ...folders])',
  ),
  mutant(
    'first make',
    'folders not synced',
    'sync([draftOf(project), ...staged, ...folders])',
    'sync([draftOf(project), ...staged])',
  ),
  mutant('revoke', 'project not synced', 'new Set([project, folder, ...elsewhere', 'new Set([folder, ...elsewhere'),
  mutant(
    'retire',
    'change folder not synced',
    'new Set([project, folder, ...elsewhere',
    'new Set([project, ...elsewhere',
  ),
  mutant('first make', 'folders elsewhere not synced', '...elsewhere.map((path) => dirname(path))]);', ']);'),
  mutant('first make', 'folders above those elsewhere not synced', ', ...journal.elsewhere];', '];'),
  mutant(
    'no ledger yet',
    'committed before what is staged is synced',
    "await attempt('sync', folder, () => disk.sync([draftOf(project), ...staged, ...folders]));",
    `await attempt('sync', folder, async () => {
      await disk.rename(draftOf(project), journalOf(project));
      await disk.sync([...staged, ...folders]);
      await disk.rename(journalOf(project), draftOf(project));
    });`,
  ),
  mutant(
    'the same content with its own mode',
    'staged files open to others',
    "disk.create(staged[index] ?? '', bytes, mode)",
    "disk.create(staged[index] ?? '', bytes, 0o644)",
  ),
  mutant(
    'hosts/ on another file system',
    'content in the draft',
    'JSON.stringify(journal)',
    'JSON.stringify({ ...journal, content: change.writes.map(({ bytes }) => String(bytes)) })',
  ),
  mutant(
    'no ledger yet',
    'nothing dropped after an error',
    'disk.sync([draftOf(project), ...staged, ...folders]));\n  } catch (error) {\n    await dropDraft(disk, project).catch(() => undefined);',
    'disk.sync([draftOf(project), ...staged, ...folders]));\n  } catch (error) {',
  ),
  mutant(
    'passphrase change',
    'files elsewhere not dropped',
    'for (const path of elsewhere) await disk.unlink(path);',
    nothing,
  ),
  mutant(
    'first make',
    'folders elsewhere not dropped',
    'for (const path of draft?.elsewhere ?? []) await disk.rmdir(path);',
    nothing,
  ),
  mutant(
    'passphrase change',
    'what is dropped elsewhere not synced',
    'await disk.sync([...new Set([...elsewhere, ...(draft?.elsewhere ?? [])].map((path) => dirname(path)))]);',
    nothing,
  ),
  mutant(
    'passphrase change',
    'draft dropped before what is elsewhere',
    'for (const path of elsewhere) await disk.unlink(path);',
    'await disk.unlink(draftOf(project));\n    for (const path of elsewhere) await disk.unlink(path);',
  ),
  mutant(
    'no ledger yet',
    'recovery does nothing',
    'if (await isCutOff(disk, project)) return { isRecovered: true',
    'if (disk !== undefined) return { isRecovered: false, edited: [] };\n  if (await isCutOff(disk, project)) return { isRecovered: true',
  ),
  mutant(
    'no ledger yet',
    'recovery drops what was committed',
    'if (await isCutOff(disk, project)) return { isRecovered: true',
    'if (disk === undefined) return { isRecovered: true',
  ),
  mutant(
    'no ledger yet',
    'recovery leaves the removal of the journal to luck',
    "await attempt('sync', changeFolder(project), () => disk.sync([changeFolder(project)]));",
    nothing,
  ),
  mutant(
    'no ledger yet',
    'journal not synced',
    "await attempt('sync', journalOf(project), () => disk.sync([folder]));",
    nothing,
  ),
  mutant(
    'revoke',
    'folders not synced before files',
    "await attempt('sync', project, () => disk.sync([...above]));",
    nothing,
  ),
  mutant(
    'revoke',
    'folders synced after files only',
    'disk.sync([...above])',
    'Promise.resolve(above.forEach((path) => touched.add(path)))',
  ),
  mutant(
    'first make',
    'only the inner folder synced',
    'isBelow(project, one); one = dirname(one)',
    'one === at(path); one = dirname(one)',
  ),
  mutant(
    'no ledger yet',
    'nothing synced before the journal goes',
    "await attempt('sync', project, () => disk.sync([...touched]));",
    nothing,
  ),
  mutant(
    'passphrase change',
    'names of written files not synced',
    '    touched.add(dirname(path));\n  }\n  for (const append',
    '  }\n  for (const append',
  ),
  mutant('no ledger yet', 'ledger not synced', 'touched.add(path).add(dirname(path));', 'touched.add(dirname(path));'),
  mutant(
    'no ledger yet',
    'name of the ledger not synced',
    'touched.add(path).add(dirname(path));',
    'touched.add(path);',
  ),
  mutant(
    'retire',
    'removals not synced',
    'touched.add(dirname(at(path)));\n  }\n  for (const path of journal.empties)',
    '}\n  for (const path of journal.empties)',
  ),
  mutant(
    'revoke',
    'removals of folders not synced',
    'disk.rmdir(at(path)));\n    touched.add(dirname(at(path)));',
    'disk.rmdir(at(path)));',
  ),
  mutant(
    'no ledger yet',
    'journal removed first',
    "await attempt('sync', project, () => disk.sync([...touched]));",
    `await attempt('sync', project, async () => {
    await disk.unlink(journalOf(project));
    await disk.sync([...touched]);
  });`,
  ),
  mutant(
    'no ledger yet',
    'removal of the journal not synced',
    'await disk.unlink(journalOf(project));\n    await disk.sync([folder]);',
    'await disk.unlink(journalOf(project));',
  ),
  mutant('hosts/ on another file system', 'copy not synced before its rename', 'await disk.sync([beside]);', nothing),
  mutant(
    'hosts/ on another file system',
    'copy renamed before its sync',
    'await disk.sync([beside]);\n    await disk.rename(beside, place);',
    'await disk.rename(beside, place);\n    await disk.sync([place]);',
  ),
  mutant('hosts/ on another file system', 'name of the copy not synced', 'await disk.sync([dirname(path)]);', nothing),
  mutant('hosts/ on another file system', 'old copy not removed', 'await disk.unlink(beside);', nothing),
  mutant(
    'hosts/ on another file system',
    'copy named after its place',
    '`.${basename(path)}.relaycerts-copy`',
    '`.${basename(place)}.relaycerts-copy`',
  ),
  mutant(
    'hosts/ on another file system',
    'copy open to others',
    'disk.create(beside, bytes, mode)',
    'disk.create(beside, bytes, 0o644)',
  ),
  mutant(
    'retire',
    'digest not checked before writing',
    'const isEdited = now !== write.old && now !== write.new;',
    'const isEdited = now === undefined;',
  ),
  mutant(
    'retire',
    'a folder that was there taken for a new one',
    'if (await makeFolder(disk, at(path), mode, 0o755)) made.add(at(path));',
    'await makeFolder(disk, at(path), mode, 0o755);\n    made.add(at(path));',
  ),
  mutant('retire', 'a folder that is there taken for a missing one', 'isThere ? read(path) : undefined', 'undefined'),
  mutant(
    'retire',
    'digest not checked before removing',
    'if (digestOf(found) === old) await',
    'if (old !== undefined) await',
  ),
  mutant(
    'retire',
    'a kept version not recognized',
    'if (digestOf(found) === digest) return { name, isThere: true };',
    nothing,
  ),
  mutant(
    'the same content with its own mode',
    'equal content kept with its mode',
    'if (isStaged) await',
    'if (now === write.new) await disk.unlink(staged); else if (isStaged) await',
  ),
  mutant(
    'retire',
    'edits after writing not tolerated',
    'if (!isEdited || now === null) throw',
    'if (disk !== undefined) throw',
  ),
  mutant(
    'no ledger yet',
    'ledger appended to again',
    'await disk.writeAt(path, offset, wanted, mode);',
    'await disk.writeAt(path, size, wanted, mode);',
  ),
  mutant(
    'no ledger yet',
    'zeros in the ledger not recognized',
    'octet === 0 || octet === wanted[index]',
    'octet === wanted[index]',
  ),
  mutant(
    'no ledger yet',
    'ledger lines that look whole not written again',
    '  const isOurs =',
    '  if (tail.equals(wanted)) return;\n  const isOurs =',
  ),
  mutant('no ledger yet', 'an edited ledger appended to again', '!found.includes(text.trim())', 'text !== path'),
  mutant('retire', 'mark not set', '  await mark();\n', '\n'),
  mutant(
    'retire',
    'mark set before the commit',
    `  try {
    await attempt('write', journalOf(project), () => disk.rename(draftOf(project), journalOf(project)));
  } catch (error) {
    await dropDraft(disk, project).catch(() => undefined);
    throw error;
  }
  return { isRecovered: false, edited: await carryOut(disk, project, mark) };`,
    `  await mark();
  try {
    await attempt('write', journalOf(project), () => disk.rename(draftOf(project), journalOf(project)));
  } catch (error) {
    await dropDraft(disk, project).catch(() => undefined);
    throw error;
  }
  return { isRecovered: false, edited: await carryOut(disk, project, noMark) };`,
  ),
  mutant('no ledger yet', 'raw errors of the system', 'throw fileError(error, doing, path);', 'throw error;'),
];
