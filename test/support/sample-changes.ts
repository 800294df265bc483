// A change of every kind that commands make, on a project of a few hosts, and what must be there afterwards. The
// content is a short placeholder; what is secret is marked (secretMark).

import { dirname } from 'node:path';
import type { FileMode } from '../../src/sys/disk.js';
import type { Change, FileWrite } from '../../src/store/transaction.js';
import { imageOf, treeOf, type Entry, type Tree } from './disk-image.js';
import { secretMark } from './simulated-disk.js';

export const home = '/home/op';
export const project = `${home}/mail`;

export interface Scenario {
  readonly name: string;
  readonly before: Tree;
  readonly change: Change;
  readonly after: Tree;
  readonly mounts?: readonly string[];
}

const passphrasePath = `${home}/.example.org-relaycerts-passphrase.gpg`;
const operatorKeyPath = `${home}/.config/relaycerts/operator-key.asc`;
const ledgerPath = `${project}/certs/ca/issued.jsonl`;
const caKey = `${project}/certs/ca/example.org-ca.key.pem`;
const caCertificate = `${project}/certs/ca/example.org-ca.crt.pem`;
const leaf = (host: string): string => `${project}/certs/smtp-client/${host}`;
const bundle = (host: string): string => `${project}/hosts/${host}`;
const table = `${bundle('relay')}/relay_clientcerts`;

const none: Change = { writes: [], appends: [], removes: [], empties: [] };

function write(path: string, text: string, mode: FileMode, isNew = false): FileWrite {
  const folderMode = path.startsWith(`${project}/certs`) ? 0o755 : 0o700;
  return { path, bytes: Buffer.from(`${mode === 0o600 ? `${secretMark} ` : ''}${text}\n`), mode, folderMode, isNew };
}

const record = (...lines: string[]): Change['appends'] => [
  { path: ledgerPath, text: lines.map((line) => `{"event":"${line}"}\n`).join(''), mode: 0o644 },
];

const keyOf = (host: string, version: number): FileWrite[] => [
  write(`${leaf(host)}.key.pem`, `key ${version} of ${host}`, 0o600, version === 1),
  write(`${bundle(host)}/${host}.key.pem`, `key ${version} of ${host}`, 0o600),
];

const certificateOf = (host: string, version: number): FileWrite[] => [
  write(`${leaf(host)}.crt.pem`, `certificate ${version} of ${host}`, 0o644),
  write(`${bundle(host)}/${host}.crt.pem`, `certificate ${version} of ${host}`, 0o644),
  write(`${bundle(host)}/${host}.chain.pem`, `key, certificate ${version} of ${host}`, 0o600),
];

const pins = (text: string): FileWrite => write(table, `pins: ${text}`, 0o644);

const firstMake: Change = {
  ...none,
  writes: [
    write(operatorKeyPath, 'operator key', 0o600, true),
    write(passphrasePath, 'sealed passphrase', 0o600, true),
    write(caKey, 'key of the CA', 0o600, true),
    write(caCertificate, 'certificate of the CA', 0o644),
    ...keyOf('home', 1),
    ...certificateOf('home', 1),
    write(`${leaf('relay')}.crt.pem`, 'certificate 1 of relay', 0o644),
    pins('home 1'),
  ],
  appends: record('ca', 'relay 1', 'home 1'),
};

const fresh = withFolders(
  new Map<string, Entry>([
    [`${project}/settings.json`, { mode: 0o644, bytes: Buffer.from('{"domain":"example.org"}\n') }],
  ]),
);
const made = applied(fresh, firstMake);

/** The tree with the folders that its paths need. */
export function withFolders(tree: Tree): Tree {
  return treeOf(imageOf(tree));
}

/** The tree after a change; states the rules a second time, without a disk. */
export function applied(before: Tree, change: Change): Tree {
  const tree = new Map(before);
  const addFolder = (path: string, mode: number): void => {
    if (tree.has(path)) return;
    addFolder(dirname(path), path.startsWith(`${project}/`) ? 0o755 : mode);
    tree.set(path, { mode });
  };
  for (const { path, text, mode } of change.appends) {
    addFolder(dirname(path), 0o755);
    const old = tree.get(path)?.bytes ?? Buffer.alloc(0);
    const gap = old.length === 0 || old.at(-1) === 0x0a ? '' : '\n';
    tree.set(path, {
      mode: old.length === 0 ? mode : (tree.get(path)?.mode ?? mode),
      bytes: Buffer.from(`${old.toString()}${gap}${text}`),
    });
  }
  for (const { path, bytes, mode, folderMode } of change.writes) {
    addFolder(dirname(path), path.startsWith(`${project}/`) ? folderMode : 0o700);
    tree.set(path, { mode, bytes: Buffer.from(bytes) });
  }
  for (const path of change.removes) tree.delete(path);
  for (const path of change.empties) {
    if (![...tree.keys()].some((one) => one.startsWith(`${path}/`))) tree.delete(path);
  }
  return tree;
}

function scenario(name: string, before: Tree, change: Partial<Change>, mounts: readonly string[] = []): Scenario {
  const whole = { ...none, ...change };
  return { name, before, change: whole, after: applied(before, whole), mounts };
}

const without = (tree: Tree, path: string): Tree => new Map([...tree].filter(([one]) => one !== path));
const filesBelow = (tree: Tree, folder: string): string[] =>
  [...tree].filter(([path, { bytes }]) => path.startsWith(`${folder}/`) && bytes !== undefined).map(([path]) => path);

const rekeyed: Change = {
  ...none,
  writes: [
    write(`${leaf('home')}.old.crt.pem`, 'certificate 1 of home', 0o644),
    ...keyOf('home', 2),
    ...certificateOf('home', 2),
    pins('home 1, home 2'),
  ],
  appends: record('home 2'),
};
const afterRekey = applied(made, rekeyed);

const openEnd: Tree = new Map(made).set(ledgerPath, {
  mode: 0o644,
  bytes: Buffer.from('{"event":"a line cut by hand"}'),
});

export const scenarios: readonly Scenario[] = [
  scenario('first make', fresh, firstMake),
  scenario('renew', made, { writes: certificateOf('home', 2), appends: record('home 2') }),
  scenario('rekey', made, rekeyed),
  scenario('retire', afterRekey, {
    writes: [pins('home 2')],
    appends: record('retired home 1'),
    removes: [`${leaf('home')}.old.crt.pem`],
  }),
  scenario('revoke', made, {
    writes: [
      write(`${project}/certs/revoked/home-1.crt.pem`, 'certificate 1 of home', 0o644),
      write(`${project}/certs/revoked/home-1.key.pem`, 'key 1 of home', 0o600),
      pins('none'),
    ],
    appends: record('revoked home 1'),
    removes: [`${leaf('home')}.key.pem`, `${leaf('home')}.crt.pem`, ...filesBelow(made, bundle('home'))],
    empties: [bundle('home')],
  }),
  scenario('next CA', made, {
    writes: [
      write(`${project}/certs/ca/next/example.org-ca.key.pem`, 'key of the next CA', 0o600, true),
      write(`${project}/certs/ca/next/example.org-ca.crt.pem`, 'certificate of the next CA', 0o644),
      ...['relay', 'home'].map((host) => write(`${bundle(host)}/example.org-ca.crt.pem`, 'both CAs', 0o644)),
    ],
    appends: record('next ca'),
  }),
  scenario('passphrase change', made, {
    writes: [
      write(`${passphrasePath}.old`, 'sealed passphrase', 0o600, true),
      write(passphrasePath, 'another sealed passphrase', 0o600),
      write(caKey, 'key of the CA under another passphrase', 0o600),
    ],
  }),
  scenario('clean', made, {
    removes: filesBelow(made, project).filter((path) => !path.endsWith('settings.json')),
    empties: [
      bundle('relay'),
      bundle('home'),
      ...['hosts', 'certs/smtp-client', 'certs/ca', 'certs'].map((name) => `${project}/${name}`),
    ],
  }),
  scenario('batch of hosts', made, {
    writes: ['a', 'b'].flatMap((host) => [...keyOf(host, 1), ...certificateOf(host, 1)]),
    appends: record('a 1', 'b 1'),
  }),
  scenario('hosts/ on another file system', made, { writes: [...keyOf('home', 2), pins('home 2')] }, [
    `${project}/hosts`,
  ]),
  scenario(
    'the same content with its own mode',
    new Map(made).set(`${leaf('home')}.key.pem`, { mode: 0o644, bytes: Buffer.from('key 1\n') }),
    {
      writes: [{ ...write(`${leaf('home')}.key.pem`, '', 0o600), bytes: Buffer.from('key 1\n') }],
    },
  ),
  scenario('a ledger with an open last line', openEnd, { appends: record('home 2') }),
  scenario('no ledger yet', without(made, ledgerPath), { appends: record('home 2') }),
];
