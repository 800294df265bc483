// `relaycerts renew`: new certificates. For the same key, so that the pin stays; or with --rekey for a new one, and then
// the old pin stays listed beside the new one until `relaycerts retire`.

import { RelaycertsError } from '../errors.js';
import type { FoundCertificate, HostInventory, Inventory } from '../plan/inventory.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import type { Host } from '../host/host.js';
import { encodePrivateKey, generateKey } from '../issue/keys.js';
import { syncFolder, writeFile } from '../host/files.js';
import { leafDays } from '../plan/leaf-days.js';
import { planRenewals } from '../plan/renew.js';
import { newKeyWords } from '../render/request.js';
import type { Secret } from '../secret.js';
import { readSettings } from '../settings/load.js';
import { hostsOf, type Settings } from '../settings/settings.js';
import { appendLedger, entryOf } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import { swapIn } from '../store/rekey.js';
import { assertRoom, workOf } from '../store/room.js';
import { applyMake, openIssuer } from './apply-make.js';
import { certifiedHost, changeCertificates, findHosts, installedRelays } from './change.js';
import { stillPending } from './keep-previous.js';
import { readGivenPassphrase } from './make.js';
import type { GlobalOptions } from './options.js';

export interface RenewOptions extends GlobalOptions {
  /** As typed; all hosts where empty. */
  readonly hosts: readonly string[];
  /** What is not due too. */
  readonly force: boolean;
  readonly rekey: boolean;
  /** A file descriptor to read the CA's passphrase from. */
  readonly passphraseFd: number | undefined;
}

/** @throws settings, usage, contradiction, lock, passphrase, tool, files */
export async function renew(options: RenewOptions, host: Host): Promise<void> {
  const settings = await readSettings(options.settings, host);
  if (options.rekey && options.hosts.length === 0) {
    throw new RelaycertsError('usage', 'a new key is made for hosts that are named', {
      hint: `relaycerts renew --rekey ${hostsOf(settings).at(-1)?.hostname ?? 'HOST'}`,
    });
  }
  const named = findHosts(settings, options.hosts);
  const passphrase = await readGivenPassphrase(options.passphraseFd);
  const { result: renewed, inventory } = await changeCertificates(settings, host, async (before, at) => {
    const all = before.hosts.filter(({ isRevoked, certificate }) => !isRevoked && certificate !== undefined);
    const chosen =
      named.length === 0 ? all : await Promise.all(named.map((one) => certifiedHost(settings, before, one)));
    const work = { settings, inventory: before, host, at, passphrase };
    return options.rekey ? rekeyAll(work, chosen) : renewAll(work, chosen, options.force);
  });
  if (options.json) {
    const rows = renewed.map(({ host: { hostname } }) => {
      const info = inventory.hosts.find((one) => one.host.hostname === hostname)?.certificate?.info;
      return { host: hostname, serial: info?.serial ?? null, expires: info?.notAfter ?? null };
    });
    host.write(`${JSON.stringify({ [options.rekey ? 'rekeyed' : 'renewed']: rows }, undefined, 2)}\n`);
  }
  if (renewed.length > 0) sayNext(settings, renewed, inventory, options.rekey, host);
}

interface Work {
  readonly settings: Settings;
  readonly inventory: Inventory;
  readonly host: Host;
  readonly at: Date;
  readonly passphrase: Secret | undefined;
}

async function renewAll(
  work: Work,
  chosen: readonly HostInventory[],
  force: boolean,
): Promise<readonly HostInventory[]> {
  const { settings, inventory, host, at } = work;
  const { renewBeforeDays } = settings.certificates;
  const validDays = leafDays(settings, inventory.caCertificate?.info, at);
  const { steps, notDue } = planRenewals(chosen, at, { validDays, renewBeforeDays, force });
  for (const { hostname, daysLeft } of notDue) {
    host.say(`${hostname} is not due: ${daysLeft} days left (--force renews it all the same)`);
  }
  if (steps.length === 0) return [];
  await assertRoom(settings, host, workOf(steps));
  const renewed = chosen.filter(({ host: { hostname } }) => steps.some((step) => step.hostname === hostname));
  await applyMake({ ...work, plan: { steps, problems: [], warnings: [] }, inventory });
  return renewed;
}

async function rekeyAll(work: Work, chosen: readonly HostInventory[]): Promise<readonly HostInventory[]> {
  const { settings, inventory, host, at } = work;
  const layout = layoutOf(settings);
  for (const { host: one, previous, request } of chosen) {
    if (previous !== undefined) throw stillPending(one.hostname);
    if (request !== undefined) {
      throw new RelaycertsError('contradiction', `${one.hostname} keeps its own key, and no other can be made here`, {
        hint: `make a new key and request there: ${newKeyWords(settings, one.hostname)}`,
      });
    }
  }
  await assertRoom(settings, host, { hosts: chosen.length, custody: false });
  const { validDays, keyType } = settings.certificates;
  const pairs = await Promise.all(chosen.map(() => generateKey(keyType)));
  const issuer = await openIssuer(work);
  const { issueLeaf } = await import('../issue/x509.js');
  const { parseCertificate } = await import('../certificate/certificate.js');
  for (const [index, { host: one }] of chosen.entries()) {
    const pair = pairs[index];
    if (pair === undefined) throw new TypeError('a key pair for each host');
    const { role, hostname } = one;
    const pem = await issueLeaf({
      role,
      hostname,
      altNames: one.role === 'smtpd-server' ? one.altNames : [],
      subject: settings.subject,
      publicKey: pair.publicKey,
      ca: issuer,
      at,
      validDays,
    });
    await writeFile(layout.nextKey(role, hostname).path, encodePrivateKey(pair.privateKey).revealBytes(), 0o600);
    await syncFolder(layout.roleFolder(role));
    await appendLedger(layout, [entryOf('rekeyed', role, hostname, parseCertificate(pem), at)]);
    await writeFile(layout.nextCertificate(role, hostname).path, pem, 0o644);
    await syncFolder(layout.roleFolder(role));
    await swapIn(layout, one);
    host.say(`made a new key, ${keyType}, and certificate of ${hostname}: ${layout.certificate(role, hostname).path}`);
  }
  if (inventory.caKey === undefined) throw new TypeError('an issuer without a key');
  return chosen;
}

/** What to install now, and in which order, so that no mail waits. */
function sayNext(
  settings: Settings,
  renewed: readonly HostInventory[],
  after: Inventory,
  isRekey: boolean,
  host: Pick<Host, 'say'>,
): void {
  const word = settings.program;
  const install = (hostname: string): string => `${word} show ${hostname}: copy its bundle and run its script`;
  const of = settings.postfix.pin;
  const changed: string[] = [];
  for (const { host: one, certificate } of renewed) {
    const now: FoundCertificate | undefined = after.hosts.find(
      (other) => other.host.hostname === one.hostname,
    )?.certificate;
    if (certificate === undefined || now === undefined) continue;
    const isSame = fingerprintOf(certificate.info, of, 'sha256') === fingerprintOf(now.info, of, 'sha256');
    const until = now.info.notAfter.toISOString().slice(0, 10);
    if (isSame)
      host.say(
        `${one.hostname} has a certificate until ${until}, with the same pin: the relay's table needs no change`,
      );
    else host.say(`${one.hostname} has a certificate until ${until}, with a new pin`);
    if (!isSame && one.role === 'smtp-client') changed.push(one.hostname);
  }
  if (changed.length > 0) {
    for (const { hostname } of installedRelays(after))
      host.say(`first, for the table with both pins: ${install(hostname)}`);
  }
  for (const { host: one } of renewed) host.say(`${changed.length > 0 ? 'then' : 'now'}: ${install(one.hostname)}`);
  if (changed.length > 0)
    host.say(`when mail flows with the new ${isRekey ? 'key' : 'certificate'}: ${word} retire ${changed.join(' ')}`);
}
