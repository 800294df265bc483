// What every release of Postfix from 3.5 on says of one thing, for tests that run on all of them.

/** Why home defers: the relay's certificate is not good. 3.5 says that one with another name is not verified. */
export const badServerCertificate = /Server certificate not (?:verified|trusted)/u;

/** In home's log, of a relay with another name: 3.5 trusts it, and only then finds that the name is not the one. */
export const otherName = 'hostname mismatch|Trusted TLS connection established';

/** An issuer that only has the name of ours; OpenSSL 1.1.1 writes `self signed`. */
export const otherIssuer = 'self[- ]signed|unknown issuer|untrusted issuer|certificate signature failure';
