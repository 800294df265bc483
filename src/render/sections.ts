// The words of `show`: its sections and formats. It imports nothing, to keep --help fast; steps.ts has the contents of
// the sections.

/** The values of `--section`, in the order in which they are run. */
export const sections = [
  'request',
  'rsync',
  'dkim',
  'main.cf',
  'master.cf',
  'config',
  'relay_clientcerts',
  'port25',
  'inbound',
  'tunnel',
  'install',
  'verify',
  'monitor',
  'fail2ban',
  'firewall',
  'renewal-timer',
] as const;
export type Section = (typeof sections)[number];

/** The values of `--format`: text, a script of POSIX sh, data, or a page to look at. */
export const formats = ['text', 'sh', 'json', 'html'] as const;
export type Format = (typeof formats)[number];
