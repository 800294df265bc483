// The step that makes a host warn before its certificates expire, with openssl alone: by cron, or by a systemd timer. It
// needs nothing from here while it runs, so a host warns also if this machine is gone.

import { bundleNames } from '../plan/bundle-names.js';
import { programWord } from '../settings/program-word.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { inFile, onHost, step, type Step } from './step.js';

/** How to be warned. Cron sends what a job prints to root by mail; a systemd service has to send its own. */
export function monitorStep(settings: Settings, host: HostSettings): Step {
  const { directory } = settings.postfix;
  const { hostname } = host;
  const names = bundleNames(settings.domain, hostname);
  const [cron, unit] = [cronFile(settings), `relaycerts-expiry-${settings.domain}`];
  const { renewBeforeDays } = settings.certificates;
  const checkend = `openssl x509 -checkend ${renewBeforeDays * 86_400} -noout`;
  const [certificate, ca] = [`${directory}/${names.certificate}`, `${directory}/${names.ca}`];
  const files = [
    { path: certificate, what: `the certificate of ${hostname}`, check: `${checkend} -in ${certificate} >/dev/null` },
    { path: ca, what: `the CA of ${settings.domain}`, check: eachOf(ca, checkend) },
  ];
  const warning = (what: string, path: string): string =>
    `relaycerts: ${what} expires within ${renewBeforeDays} days, or cannot be read: ${path}`;
  return step('monitor', 'Be warned before a certificate expires', [
    'Each morning, with openssl alone; cron sends what it prints to root by mail.',
    onHost([
      `cat >${cron} <<'END'`,
      `# relaycerts: the certificates of ${hostname}`,
      ...files.map(({ path, what, check }, at) => `${11 + at} 6 * * * root ${check} || echo "${warning(what, path)}"`),
      'END',
      `chmod 644 ${cron}`,
    ]),
    `Where there is no cron, two files for systemd instead; then:\n    systemctl enable --now ${unit}.timer`,
    inFile(`/etc/systemd/system/${unit}.service`, [
      '[Unit]',
      `Description=Warn before the certificates of ${hostname} expire`,
      '',
      '[Service]',
      'Type=oneshot',
      ...files.map(
        ({ path, what, check }) =>
          `ExecStart=/bin/sh -c '${check.replaceAll('$', '$$$$')} || { echo "Subject: ${what} expires"; echo; echo "${warning(what, path)}"; } | /usr/sbin/sendmail root'`,
      ),
    ]),
    inFile(`/etc/systemd/system/${unit}.timer`, [
      '[Unit]',
      `Description=Look every morning whether the certificates of ${hostname} expire`,
      '',
      '[Timer]',
      'OnCalendar=*-*-* 06:11',
      'Persistent=true',
      '',
      '[Install]',
      'WantedBy=timers.target',
    ]),
    `On the machine that relaycerts runs on, a line in the crontab for all hosts at once:\n    11 6 * * * ${fromFolder(settings)}`,
  ]);
}

/**
 * Where a host's lines for cron are: each domain has its own file, for a relay may serve several. Debian's cron passes over
 * a name with a dot; an underscore is in no host name, so that no two domains have the same file.
 */
export function cronFile({ domain }: Settings): string {
  return `/etc/cron.d/relaycerts-${domain.replaceAll('.', '_')}`;
}

/**
 * Runs a check on each certificate of a file, of which openssl x509 looks at the first alone: while the CA gets a new
 * key, the CA file has two. A file without one fails too. The shell reads no further than its line, so that the rest of
 * the file is there for the next turn; no percent sign, which is a line's end for cron.
 */
function eachOf(path: string, check: string): string {
  const one = `{ echo "$a"; while read -r b; do echo "$b"; case $b in *END*) break; esac; done; }`;
  return `(r=1; while read -r a; do ${one} | ${check} >/dev/null || exit 1; r=0; done; exit $r) <${path}`;
}

/**
 * A crontab's command, which is silent where all is well. A % ends a command there, and \% is one; whether \\ stays two
 * depends on the cron, so that no backslash stands before another one or before a %: the quotes close and open between.
 */
function fromFolder(settings: Settings): string {
  const status = `${programWord(settings.command, settings.file, settings.folder)} status`;
  return `cd ${shellWord(settings.folder)} && { ${status} >/dev/null 2>&1 || ${status}; }`
    .replaceAll(/\\(?=[\\%])/gu, String.raw`\''`)
    .replaceAll('%', String.raw`\%`);
}
