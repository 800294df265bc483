// `relaycerts renew`: new certificates. For the same key, so that the pin stays; or with --rekey for a new one, and then
// the old pin stays listed beside the new one until `relaycerts retire`.

import { RelaycertsError, listSome } from '../errors.js';
import { syncFolder, writeFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { encodePrivateKey, generateKey } from '../issue/keys.js';
import type { HostName } from '../names.js';
import { caStageOf, renewCaWords } from '../plan/ca-rekey.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { planRenewals } from '../plan/renew.js';
import { isRekeyUnderWay } from '../plan/retirement.js';
import { caWarnings } from '../plan/warnings.js';
import { renderRenewal, renewalJson } from '../render/renewal.js';
import { newKeyWords } from '../render/request.js';
import { readSettings } from '../settings/load.js';
import { hostsOf } from '../settings/settings.js';
import { appendLedger, entryOf } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import { swapIn } from '../store/rekey.js';
import { assertRoom, workOf } from '../store/room.js';
import { applyMake, openIssuer } from './apply-make.js';
import { certifiedCa, certifiedHost, changeCertificates, findHosts } from './change.js';
import { stillPending } from './keep-previous.js';
import { readGivenPassphrase } from './make.js';
import type { GlobalOptions } from './options.js';
import type { CaWork } from './work.js';

export interface RenewOptions extends GlobalOptions {
  /** As typed; all hosts where empty. */
  readonly hosts: readonly string[];
  /** As from cron: what is not due is no news. */
  readonly due: boolean;
  /** What is not due too. */
  readonly force: boolean;
  readonly rekey: boolean;
  /** A file descriptor to read the CA's passphrase from. */
  readonly passphraseFd: number | undefined;
}

/** Ends with 1 where a host could not be renewed, after all others. @throws settings, usage, contradiction, lock, passphrase, tool, files */
export async function renew(options: RenewOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  if (options.rekey && options.hosts.length === 0) {
    throw new RelaycertsError('usage', 'a new key is made for hosts that are named', {
      hint: `relaycerts renew --rekey ${hostsOf(settings).at(-1)?.hostname ?? 'HOST'}`,
    });
  }
  const named = findHosts(settings, options.hosts);
  const passphrase = await readGivenPassphrase(options.passphraseFd);
  const { result, inventory, written, told } = await changeCertificates(settings, sys, async (before, at, untold) => {
    certifiedCa(before);
    const chosen =
      named.length === 0
        ? allCertified(before, sys)
        : await Promise.all(named.map((one) => certifiedHost(settings, before, one)));
    const work = { settings, inventory: before, sys, at, passphrase };
    return options.rekey ? rekeyAll(work, chosen, untold.hosts) : renewAll(work, chosen, options);
  });
  const { renewed, underWay, blocked } = result;
  const left = [...underWay.map((found) => found.host.hostname), ...blocked];
  const touched = new Set([...written, ...renewed.map((found) => found.host.hostname), ...left]);
  const renewal = { renewed, underWay, touched, after: inventory };
  if (!options.json) {
    sys.write(renderRenewal(settings, renewal));
  } else {
    const rows = renewed.map(({ host: { hostname } }) => {
      const info = inventory.hosts.find((one) => one.host.hostname === hostname)?.certificate?.info;
      return { host: hostname, serial: info?.serial ?? null, expires: info?.notAfter ?? null };
    });
    const done = { [options.rekey ? 'rekeyed' : 'renewed']: rows, ...renewalJson(renewal) };
    sys.write(`${JSON.stringify(done, undefined, 2)}\n`);
  }
  await told();
}

interface Outcome {
  /** As they were before. */
  readonly renewed: readonly HostInventory[];
  /** Left as they are: their rekey has begun before. */
  readonly underWay: readonly HostInventory[];
  /** Not renewed: their old pin has to be retired first. */
  readonly blocked: readonly HostName[];
}

/** All that can be renewed; of what is in the settings and was never made, a warning. */
function allCertified({ hosts }: Inventory, sys: Pick<Sys, 'warn'>): readonly HostInventory[] {
  const standing = hosts.filter(({ isRevoked }) => !isRevoked);
  const missing = standing.filter(({ certificate }) => certificate === undefined);
  if (missing.length > 0) {
    const names = listSome(missing.map((found) => found.host.hostname));
    sys.warn(`there is no certificate yet for ${names}`, 'relaycerts make');
  }
  return standing.filter(({ certificate }) => certificate !== undefined);
}

async function renewAll(
  work: CaWork,
  chosen: readonly HostInventory[],
  { force, due }: Pick<RenewOptions, 'force' | 'due'>,
): Promise<Outcome> {
  const { settings, inventory, sys, at } = work;
  const { info: ca } = certifiedCa(inventory);
  const { steps, notDue, capped, blocked } = planRenewals(chosen, at, { settings, ca, force });
  for (const { hostname, daysLeft } of notDue) {
    const line = `${hostname} is not due: ${daysLeft} days left (--force renews it all the same)`;
    if (due) sys.detail(line);
    else sys.say(line);
  }
  warnBlocked(work, blocked);
  if (capped.length > 0) {
    sys.warn(
      `not renewed, because the CA ends on ${ca.notAfter.toISOString().slice(0, 10)} and they with it: ${listSome(capped)}`,
      caStageOf(inventory) === 0
        ? 'relaycerts renew --ca, then install every host, then relaycerts renew'
        : `relaycerts ${renewCaWords(inventory)}, when every host is installed`,
    );
    sys.endWith(1);
  } else if (steps.length > 0) {
    for (const { message, hint } of caWarnings(settings, inventory, at)) sys.warn(message, hint);
  }
  const renewed = chosen.filter(({ host: { hostname } }) => steps.some((step) => step.hostname === hostname));
  if (steps.length > 0) {
    await assertRoom(settings, sys, workOf(steps));
    await applyMake({ ...work, plan: { steps, problems: [], warnings: [] }, inventory });
  }
  return { renewed, underWay: [], blocked };
}

function warnBlocked({ settings, sys }: CaWork, blocked: readonly HostName[]): void {
  for (const hostname of blocked) {
    const { message, hint } = stillPending(settings, hostname);
    sys.warn(`${message}, and so it is not renewed`, hint);
  }
  if (blocked.length > 0) sys.endWith(1);
}

async function rekeyAll(
  work: CaWork,
  named: readonly HostInventory[],
  untold: ReadonlySet<HostName>,
): Promise<Outcome> {
  const { settings, inventory, sys, at } = work;
  const layout = layoutOf(settings);
  for (const { host: one, request } of named) {
    if (request !== undefined) {
      throw new RelaycertsError('contradiction', `${one.hostname} keeps its own key, and no other can be made here`, {
        hint: `make a new key and request there: ${newKeyWords(settings, one.hostname)}`,
      });
    }
  }
  // A run that was cut off is gone on with: what has its new key already gets no second one.
  const underWay = named.filter((found) => isRekeyUnderWay(found) || isNewRelayKey(found, inventory, untold));
  const chosen = named.filter((found) => found.previous === undefined && !underWay.includes(found));
  const blocked = named
    .filter((found) => found.previous !== undefined && !isRekeyUnderWay(found))
    .map((found) => found.host.hostname);
  warnBlocked(work, blocked);
  if (chosen.length === 0) return { renewed: [], underWay, blocked };
  await assertRoom(settings, sys, { hosts: chosen.length, custody: false });
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
      altNames: one.altNames,
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
    sys.say(`made a new key, ${keyType}, and certificate of ${hostname}: ${layout.certificate(role, hostname).path}`);
  }
  return { renewed: chosen, underWay, blocked };
}

/** A relay has no old pin that would tell: its new key is the one of a run that was cut off where nobody was told of it. */
function isNewRelayKey(
  { host: { role, hostname }, certificate }: HostInventory,
  { issued }: Inventory,
  untold: ReadonlySet<HostName>,
): boolean {
  if (role !== 'smtpd-server' || !untold.has(hostname)) return false;
  return issued.some(({ serial, event }) => serial === certificate?.info.serial && event === 'rekeyed');
}
