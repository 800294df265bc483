// The words of `show`: its sections and formats.

/** What `--section` takes, in the order in which they are run. */
export const sections = [
  'request',
  'rsync',
  'main.cf',
  'master.cf',
  'relay_clientcerts',
  'install',
  'verify',
  'monitor',
] as const;
export type Section = (typeof sections)[number];

export const formats = ['text', 'sh', 'json'] as const;
export type Format = (typeof formats)[number];
