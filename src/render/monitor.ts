// The step that makes a host warn before its certificates expire, with openssl alone: by cron, or by a systemd timer.

import { bundleNames } from '../plan/bundle-names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { programWord } from './commands.js';
import type { Step } from './step.js';

/** How to be warned. Cron sends what a job prints to root by mail; a systemd service has to send its own. */
export function monitorStep(settings: Settings, host: HostSettings): Step {
  const { directory } = settings.postfix;
  const { hostname } = host;
  const names = bundleNames(settings.domain, hostname);
  const { renewBeforeDays } = settings.certificates;
  const files = [
    { path: `${directory}/${names.certificate}`, what: `the certificate of ${hostname}` },
    { path: `${directory}/${names.ca}`, what: `the CA of ${settings.domain}` },
  ];
  const check = (path: string): string =>
    `openssl x509 -checkend ${renewBeforeDays * 86_400} -noout -in ${path} >/dev/null`;
  const warning = (what: string, path: string): string =>
    `relaycerts: ${what} expires within ${renewBeforeDays} days, or cannot be read: ${path}`;
  return {
    section: 'monitor',
    title: 'Be warned before a certificate expires',
    parts: [
      'Each morning, with openssl alone; cron sends what it prints to root by mail.',
      {
        where: 'host',
        lines: [
          "cat >/etc/cron.d/relaycerts <<'END'",
          `# relaycerts: the certificates of ${hostname}`,
          ...files.map(
            ({ path, what }, at) => `${11 + at} 6 * * * root ${check(path)} || echo "${warning(what, path)}"`,
          ),
          'END',
          'chmod 644 /etc/cron.d/relaycerts',
        ],
      },
      'Where there is no cron, two files for systemd instead; then:\n    systemctl enable --now relaycerts-expiry.timer',
      {
        where: { file: '/etc/systemd/system/relaycerts-expiry.service' },
        lines: [
          '[Unit]',
          `Description=Warn before the certificates of ${hostname} expire`,
          '',
          '[Service]',
          'Type=oneshot',
          ...files.map(
            ({ path, what }) =>
              `ExecStart=/bin/sh -c '${check(path)} || { echo "Subject: ${what} expires"; echo; echo "${warning(what, path)}"; } | /usr/sbin/sendmail root'`,
          ),
        ],
      },
      {
        where: { file: '/etc/systemd/system/relaycerts-expiry.timer' },
        lines: [
          '[Unit]',
          `Description=Look every morning whether the certificates of ${hostname} expire`,
          '',
          '[Timer]',
          'OnCalendar=*-*-* 06:11',
          'Persistent=true',
          '',
          '[Install]',
          'WantedBy=timers.target',
        ],
      },
      `On the machine that relaycerts runs on, a line in the crontab for all hosts at once:\n    11 6 * * * ${fromFolder(settings)}`,
    ],
  };
}

/** A crontab's command, which is silent where all is well: a % has a meaning of its own there. */
function fromFolder(settings: Settings): string {
  const status = `${programWord(settings)} status`;
  return `cd ${shellWord(settings.folder)} && { ${status} >/dev/null 2>&1 || ${status}; }`.replaceAll(
    '%',
    String.raw`\%`,
  );
}
