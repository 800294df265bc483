// The parameters of Postfix in a container whose main.cf is all that can be set: those of our transport or our service
// (postfix.ts, relay-service.ts), for the whole container. Both locks are the same as on any other relay. What needs
// services of its own, or would take away what an image does by itself, is left out; container.ts prints it as a limit.

import type { Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { homeParameters, homeService, overridden, type Parameter } from './postfix.js';
import { relayServices } from './relay-service.js';

/** Names in master.cf, which have no meaning in main.cf. */
const onlyInMaster = ['syslog_name', 'tlsmgr_service_name', 'cleanup_service_name'];
/** Images have variables for their own filters and signers, and emptying these would switch those off. */
const ofTheImage = [
  'smtpd_milters',
  'smtpd_milter_maps',
  'milter_default_action',
  'content_filter',
  'smtpd_proxy_filter',
  'receive_override_options',
];

/**
 * The settings of a host for a container: our files are in `directory`, and a reload reads the table again, whatever
 * map types the image has. The container is a jail already.
 */
export function inContainer(settings: Settings, directory: Settings['postfix']['directory']): Settings {
  return { ...settings, postfix: { ...settings.postfix, directory, tableType: 'texthash', masterChroot: 'n' } };
}

/** The table of smtp_delivery_status_filter. */
export const repliesName = 'replies';

/**
 * Home: where the mail goes, and what our transport checks and shows. In main.cf, soft_bounce would also turn what home
 * refuses from the world into temporary answers; the filter is for what another server answers to smtp(8).
 */
export function homeInMain(settings: Settings, client: SmtpClient): readonly Parameter[] {
  const { overrides } = homeService(settings, client);
  const relayhost = homeParameters(settings).filter(({ name }) => name === 'relayhost');
  const waits = overrides.some(({ name, value }) => name === 'soft_bounce' && value === 'yes');
  const filter = {
    name: 'smtp_delivery_status_filter',
    value: `regexp:${settings.postfix.directory}/${repliesName}`,
  };
  return overridden(
    [...relayhost, ...(waits ? [filter] : [])],
    overrides.filter(({ name }) => !onlyInMaster.includes(name) && name !== 'soft_bounce'),
  );
}

/** A relay: both locks, temporary answers, and no session that is resumed without a certificate. */
export function relayInMain(settings: Settings, server: SmtpdServer): readonly Parameter[] {
  const [smtpd, ...others] = relayServices(settings, server);
  const asked = Object.entries(server.overrides).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  // In main.cf, it would also keep mail that the world refuses in the queue for days.
  const left = [...onlyInMaster, 'soft_bounce', ...ofTheImage.filter((name) => !asked.includes(name))];
  const parameters = smtpd.overrides.filter(({ name, value }) => !left.includes(name) && !value.includes('$'));
  const beside = others.flatMap(({ overrides }) => overrides);
  return overridden(
    parameters,
    beside.filter(({ name }) => name.startsWith('smtpd_tls_session_cache_') || asked.includes(name)),
  );
}
