// A state in memory: everything that small settings ask for, with real keys and certificates and no disk.

import type { KeyObject } from 'node:crypto';
import { readHostKey } from '../../src/certificate/private-key.js';
import { encodePrivateKey } from '../../src/issue/keys.js';
import { changeHost as changedHost, type HostInventory, type Inventory } from '../../src/plan/inventory.js';

export { changedHost };
import { bundlesOf } from '../../src/render/bundle.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostsOf, type HostSettings, type Settings } from '../../src/settings/settings.js';
import { layoutOf, operatorKeyPlace } from '../../src/store/layout.js';
import { makeCa, makeLeaf } from './chain.js';

export const configHome = '/home/operator/.config';

/** One relay and two clients. */
export const threeHosts: Settings = parseSettings(
  {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }],
  },
  { file: '/project/settings.json', home: '/home/operator', program: 'relaycerts', command: 'relaycerts' },
);

/** The state after a first make at this instant. The CA's key and the passphrase file are dummies. */
export async function makeInventory(settings: Settings, at: Date): Promise<Inventory> {
  const layout = layoutOf(settings);
  const ca = await makeCa({ at });
  const hosts = await Promise.all(
    hostsOf(settings).map(async (host) => {
      const { role, hostname } = host;
      const { keyPair, info } = await makeLeaf(ca, { role, hostname, at });
      return foundHost(settings, host, keyPair.privateKey, info);
    }),
  );
  const state: Inventory = {
    caKeyPath: layout.caKey.path,
    caKey: Buffer.from('encrypted'),
    caCertificatePath: layout.caCertificate.path,
    caCertificate: { path: layout.caCertificate.path, info: ca.info },
    nextCa: undefined,
    formerCa: undefined,
    passphrasePath: settings.passphrase.file,
    passphraseFile: Buffer.from('sealed'),
    operatorKeyPath: operatorKeyPlace(configHome).path,
    operatorKey: Buffer.from('key'),
    hosts,
    dkim: [],
    dkimFolder: layout.dkimFolder,
    revoked: { hosts: new Map(), ownKey: new Set(), keys: new Set() },
    hasLedger: true,
    dqsKey: undefined,
    problems: [],
    strangers: [],
  };
  const bundles = bundlesOf(settings, state);
  return {
    ...state,
    hosts: hosts.map((one) => changedHost(one, { bundle: bundles.get(one.host.hostname) ?? new Map() })),
  };
}

function foundHost(
  settings: Settings,
  host: HostSettings,
  privateKey: KeyObject,
  info: NonNullable<HostInventory['certificate']>['info'],
): HostInventory {
  const { hostname, role } = host;
  const layout = layoutOf(settings);
  const keyPath = layout.key(role, hostname).path;
  const certificatePath = layout.certificate(role, hostname).path;
  return {
    host,
    keyPath,
    key: readHostKey(keyPath, Buffer.from(encodePrivateKey(privateKey).revealBytes())),
    requestPath: layout.request(role, hostname).path,
    request: undefined,
    certificatePath,
    certificate: { path: certificatePath, info },
    previous: undefined,
    isRevoked: false,
    bundleFolder: layout.bundleFolder(hostname),
    hasBundle: true,
    bundle: new Map(),
    rightUnder: undefined,
  };
}

/** The state with some fields changed of the host with this label. */
export function changeHost(
  state: Inventory,
  label: string,
  change: (one: HostInventory) => Partial<HostInventory>,
): Inventory {
  const hosts = state.hosts.map((one) =>
    one.host.hostname.startsWith(`${label}.`) ? changedHost(one, change(one)) : one,
  );
  return { ...state, hosts };
}
