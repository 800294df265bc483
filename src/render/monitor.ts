// The step that makes a host warn before its certificates expire, using only openssl: check-expiry.sh, run by cron or
// by a systemd timer; and the lines that undo it. It needs nothing from here while it runs, so a host warns even if
// this machine is gone. Cron's mail has the command as its subject, so the command is short.

import { bundleNames } from '../plan/bundle-names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { assignments, pathWord } from '../shell-word.js';
import checkExpiry from './check-expiry.sh';
import removeMonitor from './remove-monitor.sh';
import { inFile, onHost, step, type Step } from './step.js';

/** How to be warned. Cron mails the output of a job to root; a systemd service has to send its own mail. */
export function monitorStep(settings: Settings, host: HostSettings): Step {
  const { hostname } = host;
  const { cron, unit } = monitorFiles(settings);
  const script = `${settings.postfix.directory}/check-expiry`;
  const timer = `${unit.slice(unit.lastIndexOf('/') + 1)}.timer`;
  const marker = markerOf(host);
  return step('monitor', 'Be warned before a certificate expires', [
    'Runs every morning, and needs only openssl; cron mails what it prints to root.',
    onHost([
      '(',
      'umask 022',
      `cat >${script} <<'END' || exit`,
      marker,
      ...valuesOf(settings, host),
      ...shellLines(checkExpiry),
      'END',
      `test ! -d /etc/cron.d || cat >${cron} <<'END'`,
      marker,
      `11 6 * * * root sh ${script}`,
      'END',
      ')',
    ]),
    `Without cron, run that anyway, then make these two files for systemd and run:\n    systemctl enable --now ${timer}`,
    inFile(`${unit}.service`, [
      marker,
      '[Unit]',
      `Description=Warn before the certificates of ${hostname} expire`,
      '',
      '[Service]',
      'Type=oneshot',
      `ExecStart=/bin/sh ${script} mail`,
    ]),
    inFile(`${unit}.timer`, [
      marker,
      '[Unit]',
      `Description=Check every morning whether the certificates of ${hostname} expire soon`,
      '',
      '[Timer]',
      'OnCalendar=*-*-* 06:11',
      'Persistent=true',
      '',
      '[Install]',
      'WantedBy=timers.target',
    ]),
    `Or on the machine that relaycerts runs on, one crontab line for all hosts; it prints nothing if all is well:\n    11 6 * * * ${fromAnywhere(settings)}`,
  ]);
}

/** Undoes what the step made, and only that: lines for the host, for either way of warning. */
export function removeMonitorLines(settings: Settings, host: HostSettings): readonly string[] {
  const { cron, unit } = monitorFiles(settings);
  const values = { host: host.hostname, folder: settings.postfix.directory, cron, unit };
  return ['(', ...assignments(values), ...shellLines(removeMonitor), ')'];
}

/** One line of each file that the step makes, by which undo recognises them. */
function markerOf({ hostname }: HostSettings): string {
  return `# relaycerts: the certificates of ${hostname}`;
}

/**
 * Each domain has its own files, because a relay may serve several. Debian's cron ignores names with a dot; host names
 * have no underscore, so no two domains share a file. `unit` is without .service and .timer.
 */
function monitorFiles({ domain }: Settings): { readonly cron: string; readonly unit: string } {
  return {
    cron: `/etc/cron.d/relaycerts-${domain.replaceAll('.', '_')}`,
    unit: `/etc/systemd/system/relaycerts-expiry-${domain}`,
  };
}

/** The lines of a shell file, without those that only shellcheck reads. */
export function shellLines(text: string): readonly string[] {
  return text
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('# shellcheck '));
}

/** The variables of check-expiry.sh. */
function valuesOf({ domain, certificates, postfix }: Settings, { hostname }: HostSettings): readonly string[] {
  const names = bundleNames(domain, hostname);
  const values = {
    host: hostname,
    domain,
    days: String(certificates.renewBeforeDays),
    certificate: `${postfix.directory}/${names.certificate}`,
    ca: `${postfix.directory}/${names.ca}`,
  };
  return assignments(values);
}

/** Checks all hosts, from any folder. */
function fromAnywhere({ command, file }: Settings): string {
  return inCrontab(`${command} --settings ${pathWord(file)} status --due`);
}

/**
 * A crontab's command. A % ends a command there, and \% is a percent sign; whether \\ stays two depends on the cron, so
 * no backslash may precede another one or a %: the quotes are closed and opened in between.
 */
export function inCrontab(command: string): string {
  return command.replaceAll(/\\(?=[\\%])/gu, String.raw`\''`).replaceAll('%', String.raw`\%`);
}
