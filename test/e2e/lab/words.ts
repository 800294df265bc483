// The wording of each release of Postfix from 3.5 on for the same event, for tests that run on all of them.

/** Why home defers: the relay's certificate is bad. 3.5 says "not verified" for one with another name. */
export const badServerCertificate = /Server certificate not (?:verified|trusted)/u;

/** In home's log, for a relay with another name: 3.5 trusts it, and only then finds that the name does not match. */
export const otherName = 'hostname mismatch|Trusted TLS connection established';

/** An issuer that only shares our CA's name; OpenSSL 1.1.1 writes `self signed`. */
export const otherIssuer = 'self[- ]signed|unknown issuer|untrusted issuer|certificate signature failure';
