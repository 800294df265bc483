// The names that come from outside, each with the one parser that lets only its own alphabet pass. What these types
// hold is safe in a path, a Postfix file, a DN and (quoted besides) a shell word.

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** A DNS host name: lower-case A-labels, at least two labels, no trailing dot, at most 253 octets. */
export type HostName = Branded<'HostName'>;
/** What ssh connects to: a DNS name of one or more labels, an ssh_config alias, or an IP address without brackets. */
export type SshHost = Branded<'SshHost'>;
/** A login name on a host. */
export type SshUser = Branded<'SshUser'>;
/** An absolute POSIX path of plain characters that is safe to hold only our files. */
export type AbsolutePath = Branded<'AbsolutePath'>;
/** ISO 3166-1 alpha-2, upper case. */
export type CountryCode = Branded<'CountryCode'>;
/** A digest as relay_clientcerts takes it: upper-case hexadecimal octets, colons between. */
export type Fingerprint = Branded<'Fingerprint'>;
/** A certificate's serial number: lower-case hexadecimal, an even number of digits. */
export type Serial = Branded<'Serial'>;
