// The words of `show`: its sections and formats. It loads nothing, so that --help is quick; what a section holds is in
// steps.ts.

/** What `--section` takes, in the order in which they are run. */
export const sections = [
  'request',
  'rsync',
  'main.cf',
  'master.cf',
  'config',
  'relay_clientcerts',
  'install',
  'verify',
  'monitor',
  'renewal-timer',
] as const;
export type Section = (typeof sections)[number];

/** What `--format` takes: words, a script of POSIX sh, data, or a page to look at. */
export const formats = ['text', 'sh', 'json', 'html'] as const;
export type Format = (typeof formats)[number];
