// Where the files of the domain of nearly all tests are on a host.

export const folder = '/etc/postfix/relaycerts/example.org';
