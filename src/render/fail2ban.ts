// `show --section fail2ban`: a filter and a jail for our port, which fail2ban's own postfix filter knows nothing of. It
// counts what only strangers cause. A certificate that is not trusted and "Try again later" are left out: an old
// certificate or pin at the own home says the same, and in a rotation the home would be banned.

import type { SmtpdServer } from '../settings/settings.js';
import { syslogName } from './postfix.js';
import { inFile, onHost, step, type Step } from './step.js';

const name = 'relaycerts';

/** The lines of a stranger: the text before and after his address. */
const strangers = [
  String.raw`NOQUEUE: abort: TLS from \S*\[<HOST>\]: No client certificate presented`,
  // Postfix 3.10 and later begin with the queue ID.
  String.raw`(?:NOQUEUE: )?lost connection after (?:CONNECT|UNKNOWN|STARTTLS|EHLO) from \S*\[<HOST>\]`,
  String.raw`improper command pipelining after \S+ from \S*\[<HOST>\]`,
  String.raw`(?:warning: )?non-SMTP command from \S*\[<HOST>\]`,
] as const;

export function fail2banStep({ port }: SmtpdServer): Step {
  return step('fail2ban', 'Ban strangers from our port', [
    `For a relay with fail2ban. Banned addresses lose only port ${port}. Add the machine that runs relaycerts check to ignoreip: it tries the port without a certificate.`,
    inFile(`/etc/fail2ban/filter.d/${name}.conf`, [
      '[INCLUDES]',
      'before = common.conf',
      '',
      '[Definition]',
      `_daemon = ${syslogName}/smtpd`,
      ...strangers.map((line, at) => `${at === 0 ? 'failregex = ' : ' '.repeat(12)}^%(__prefix_line)s${line}`),
      'ignoreregex =',
      `journalmatch = SYSLOG_IDENTIFIER=${syslogName}/smtpd`,
    ]),
    inFile(`/etc/fail2ban/jail.d/${name}.conf`, [
      `[${name}]`,
      'enabled = true',
      `filter = ${name}`,
      `port = ${port}`,
      'backend = %(postfix_backend)s',
      'logpath = %(postfix_log)s',
      'maxretry = 5',
      'findtime = 10m',
      'bantime = 1h',
    ]),
    onHost(['fail2ban-client reload']),
    'If the mail log is another file, set logpath to it. To undo this:',
    `    rm /etc/fail2ban/filter.d/${name}.conf /etc/fail2ban/jail.d/${name}.conf && fail2ban-client reload`,
  ]);
}
