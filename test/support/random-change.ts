// Random changes of a few files, in the project, on a mount in it and elsewhere, for the proof of the transaction.

import type { Change } from '../../src/store/transaction.js';
import type { FileMode } from '../../src/sys/disk.js';
import type { Entry } from './disk-image.js';
import * as fc from './fast-check.js';
import { applied, home, project, withFolders, type Scenario } from './sample-changes.js';

const folders = [`${project}/certs`, `${project}/certs/deep/er`, `${project}/hosts/a`, `${home}/.config/new`, home];
const mode = fc.constantFrom<FileMode>(0o600, 0o644);
const content = fc.constantFrom('', 'one\n', 'two, without an end', 'three\n'.repeat(9));

/** A file's state before, and what is done to it. */
const fate = fc.record({
  folder: fc.constantFrom(...folders),
  before: fc.option(fc.record({ bytes: content.map((text) => Buffer.from(text)), mode }), { nil: undefined }),
  act: fc.constantFrom('write', 'write', 'remove', 'append', 'leave'),
  bytes: content.map((text) => Buffer.from(text)),
  mode,
});

export const randomScenario: fc.Arbitrary<Scenario> = fc
  .record({
    files: fc.array(fate, { minLength: 1, maxLength: 5 }),
    empties: fc.subarray([`${project}/hosts/a`, `${project}/hosts`]),
    mounts: fc.subarray([`${project}/hosts`]),
  })
  .map(({ files, empties, mounts }) => {
    const named = files.map((file, index) => ({ ...file, path: `${file.folder}/file-${index}` }));
    const tree = new Map<string, Entry>([[`${project}/settings.json`, { mode: 0o644, bytes: Buffer.from('{}') }]]);
    for (const { path, before } of named) if (before !== undefined) tree.set(path, before);
    const change: Change = {
      writes: named
        .filter(({ act }) => act === 'write')
        .map((file) => ({
          path: file.path,
          bytes: file.bytes,
          mode: file.mode,
          folderMode: file.folder.includes('deep') ? 0o700 : 0o755,
          isNew: file.before === undefined,
        })),
      appends: named
        .filter(({ act, path }) => act === 'append' && path.startsWith(project))
        .map((file) => ({ path: file.path, text: 'a line of the change\n', mode: file.mode })),
      removes: named.filter(({ act }) => act === 'remove').map(({ path }) => path),
      empties,
    };
    const before = withFolders(tree);
    return { name: 'random', before, change, after: applied(before, change), mounts };
  });
